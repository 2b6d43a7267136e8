"""Tests that manifests.py finds what it is there to find, in the manifests with planted violations.

Usage: manifests_test.py REPOSITORY FILE, FILE as for manifests.py
"""

import copy
import pathlib
import sys
import unittest

import manifests

_POD = "Deployment.spec.template.spec."
_CONTAINER = _POD + "containers.0."
_ABSENT = object()

# Where something else is planted (a path from the kind), and a part of what must be said of it: by the schemas,
_AGAINST_SCHEMAS = [
    (_CONTAINER + "readinesProbe", {}, "readinesProbe"),
    ("Service.spec.clusterIp", "None", "clusterIp"),
    ("HorizontalPodAutoscaler.spec.minReplicas", "two", "two"),
    ("PodDisruptionBudget.apiVersion", "policy/v1beta1", "PodDisruptionBudget"),
    ("ServiceMonitor.spec.endpoints.0.prt", "http-metrics", "prt"),
]
# and where the schemas say nothing.
_DISAGREEING = [
    ("Service.metadata.labels.app.kubernetes.io/name", "other", "app.kubernetes.io/name"),
    ("Service.spec.selector.app.kubernetes.io/name", "other", "Service: its selector"),
    ("PodDisruptionBudget.spec.selector.matchLabels.tier", "one", "PodDisruptionBudget: its selector"),
    ("NetworkPolicy.spec.podSelector.matchLabels", {}, "NetworkPolicy: its selector"),
    ("ServiceMonitor.spec.selector.matchLabels.tier", "one", "does not choose the Service"),
    (_CONTAINER + "ports.0.containerPort", 50052, "ATTND_LISTEN"),
    ("Service.spec.ports.0.targetPort", "http", "Service: its ports"),
    ("Service.spec.ports.0.appProtocol", "http", "kubernetes.io/h2c"),
    ("ServiceMonitor.spec.endpoints.0.port", "grpc", "does not scrape"),
    ("NetworkPolicy.spec.ingress.0.ports.0.port", "http", "NetworkPolicy: it lets in"),
    (_CONTAINER + "livenessProbe.grpc.service", "", "livenessProbe"),
    (_CONTAINER + "readinessProbe.grpc.port", 9464, "readinessProbe"),
    (_POD + "terminationGracePeriodSeconds", 30, "terminationGracePeriodSeconds"),
    ("ConfigMap.data.ATTND_GRACE_PERIOD_SECONDS", "60", "terminationGracePeriodSeconds"),
    ("ConfigMap.data.ATTND_DRAIN_DELAY_SECONDS", "0", "ATTND_DRAIN_DELAY_SECONDS"),
    ("ConfigMap.data.ATTND_MAX_MESSAGE_BYTES", "1GiB", "ATTND_MAX_MESSAGE_BYTES"),
    (_CONTAINER + "resources.limits.memory", "8Gi", "resources"),
    ("HorizontalPodAutoscaler.spec.scaleTargetRef.name", "other", "its target"),
    ("Deployment.spec.replicas", 2, "replicas"),
    ("PodDisruptionBudget.spec.maxUnavailable", 2, "PodDisruptionBudget: it lets 0"),
    (_POD + "hostNetwork", True, "namespace of the host"),
    (_CONTAINER + "ports.0.hostPort", 50051, "port of the host"),
    (_POD + "volumes", [{"name": "all", "hostPath": {"path": "/"}}], "no volume"),
    (_CONTAINER + "securityContext.privileged", True, "not privileged"),
    (_CONTAINER + "securityContext.allowPrivilegeEscalation", _ABSENT, "allowPrivilegeEscalation"),
    (_CONTAINER + "securityContext.capabilities.add", ["NET_ADMIN"], "no capability"),
    (_POD + "securityContext.runAsNonRoot", _ABSENT, "runAsNonRoot"),
    (_CONTAINER + "securityContext.runAsUser", 0, "the image's user"),
    (_POD + "securityContext.seccompProfile.type", "Unconfined", "seccomp"),
    (_POD + "securityContext.sysctls", [], "no other setting"),
    (_CONTAINER + "securityContext.readOnlyRootFilesystem", False, "readOnlyRootFilesystem"),
    ("ServiceAccount.automountServiceAccountToken", True, "no token"),
    (_CONTAINER + "envFrom.0.configMapRef.name", "other", "envFrom"),
    (_CONTAINER + "image", "attnd:latest", "the image is"),
]


def plant(documents, path, value):
    """Puts the value where the path leads; a name may itself have dots, and is then the rest of the path."""
    kind, *steps = path.split(".")
    place = next(document for document in documents if document["kind"] == kind)
    while len(steps) > 1 and (steps[0].isdigit() or steps[0] in place):
        step = steps.pop(0)
        place = place[int(step) if step.isdigit() else step]
    name = ".".join(steps)
    if value is _ABSENT:
        del place[name]
    else:
        place[name] = value


class ManifestsTest(unittest.TestCase):
    original = None

    def assert_found(self, planted, check):
        for path, value, expected in planted:
            with self.subTest(path=path, value=value):
                changed = copy.deepcopy(self.original)
                plant(changed.documents, path, value)
                self.assertIn(expected, "\n".join(check(changed)))

    def test_what_no_schema_allows_is_found(self):
        self.assertEqual(list(manifests.check_schemas(self.original)), [])
        self.assert_found(_AGAINST_SCHEMAS, manifests.check_schemas)

    def test_what_does_not_fit_together_is_found(self):
        self.assertEqual(manifests.disagreements(self.original), [])
        self.assert_found(_DISAGREEING, manifests.disagreements)


if __name__ == "__main__":
    ManifestsTest.original = manifests.read(*map(pathlib.Path, sys.argv[1:3]))
    unittest.main(argv=sys.argv[:1])
