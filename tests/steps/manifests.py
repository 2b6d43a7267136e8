"""Checks Kubernetes manifests: each against Kubernetes' own schemas, and that together they fit each other and the image.

Usage: manifests.py REPOSITORY ATTND FILE…

Each FILE is what `kustomize build` printed; ATTND is the server, which must know the ConfigMap's settings and start with them.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import jsonschema
import kubernetes_validate
import yaml

# From the oldest version that has all that is used (matchLabelKeys in spread constraints) to the newest with schemas.
KUBERNETES_VERSIONS = ("1.27", "1.30", "1.33", "1.37")

# What of the Prometheus operator's ServiceMonitor is used; its full schema is not Kubernetes' own.
_LABELS = {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}}
SERVICE_MONITOR = {
    "type": "object", "additionalProperties": False, "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "monitoring.coreos.com/v1"},
        "kind": {"const": "ServiceMonitor"},
        "metadata": {"type": "object", "required": ["name"]},
        "spec": {
            "type": "object", "additionalProperties": False, "required": ["selector", "endpoints"],
            "properties": {
                "selector": {"type": "object", "additionalProperties": False, "required": ["matchLabels"],
                             "properties": {"matchLabels": _LABELS}},
                "endpoints": {"type": "array", "minItems": 1, "items": {
                    "type": "object", "additionalProperties": False, "required": ["port"],
                    "properties": {"port": {"type": "string"}, "interval": {"type": "string", "pattern": r"^\d+s$"}}}},
            },
        },
    },
}

# After drain delay and grace period: for the answers' last bytes, and for the process to end.
STOP_MARGIN_SECONDS = 5
# Half of the memory, which is what the server lets requests hold, has room for two of the largest. While one is decoded, it
# takes its message, its tensors, which are as large, and (with as many queries as keys) a third for the output and two for
# packed keys and values.
LARGEST_REQUESTS_IN_MEMORY = 2
MEMORY_PER_MESSAGE = 3

_UNITS = {"Mi": 1 << 20, "MiB": 1 << 20, "Gi": 1 << 30, "GiB": 1 << 30}
START_SECONDS = 60


def size_bytes(text):
    number, unit = re.fullmatch(r"(\d+)(\w*)", text).groups()
    return int(number) * (_UNITS[unit] if unit else 1)


class Manifests:
    """What `kustomize build` printed, and what the image and the project say of themselves."""

    def __init__(self, documents, dockerfile, version):
        self.documents = documents
        self.dockerfile = dockerfile
        self.version = version

    def of_kind(self, kind):
        return [document for document in self.documents if document["kind"] == kind]

    def one(self, kind):
        found = self.of_kind(kind)
        if len(found) != 1:
            raise ValueError(f"{kind}: {len(found)} found, 1 expected")
        return found[0]

    @property
    def pod(self):
        return self.one("Deployment")["spec"]["template"]

    @property
    def container(self):
        return self.pod["spec"]["containers"][0]

    @property
    def container_ports(self):
        return {port["name"]: port["containerPort"] for port in self.container["ports"]}

    @property
    def settings(self):
        return self.one("ConfigMap")["data"]


# ---- The checks: each yields what is wrong -----------------------------------------------------------------------------------


def check_schemas(manifests):
    for document in manifests.documents:
        try:
            if document["kind"] == "ServiceMonitor":
                jsonschema.validate(document, SERVICE_MONITOR)
                continue
            for version in KUBERNETES_VERSIONS:
                kubernetes_validate.validate(document, version, strict=True)
        except (jsonschema.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
            yield f"{document['kind']}: {error.message}"


def check_labels(manifests):
    pod_labels = manifests.pod["metadata"]["labels"]
    for document in manifests.documents:
        labels = document["metadata"].get("labels", {})
        for name, wanted in (("name", "attnd"), ("component", "server"), ("version", manifests.version)):
            if labels.get(f"app.kubernetes.io/{name}") != wanted:
                yield f"{document['kind']}: its label app.kubernetes.io/{name} is not {wanted}"
    selectors = {
        "Deployment": manifests.one("Deployment")["spec"]["selector"]["matchLabels"],
        "Service": manifests.one("Service")["spec"]["selector"],
        "PodDisruptionBudget": manifests.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        "NetworkPolicy": manifests.one("NetworkPolicy")["spec"]["podSelector"].get("matchLabels", {}),
    }
    for spread in manifests.pod["spec"]["topologySpreadConstraints"]:
        selectors[f"spread over {spread['topologyKey']}"] = spread["labelSelector"]["matchLabels"]
    for name, selector in selectors.items():
        if not selector or not selector.items() <= pod_labels.items():
            yield f"{name}: its selector {selector} does not choose the pods, which are labelled {pod_labels}"
    service_labels = manifests.one("Service")["metadata"]["labels"]
    for monitor in manifests.of_kind("ServiceMonitor"):
        if not monitor["spec"]["selector"]["matchLabels"].items() <= service_labels.items():
            yield f"ServiceMonitor: its selector does not choose the Service, which is labelled {service_labels}"


def check_ports(manifests):
    ports = manifests.container_ports
    for name, variable in (("grpc", "ATTND_LISTEN"), ("http-metrics", "ATTND_METRICS_LISTEN")):
        port = ports.get(name)
        if f"{variable}=0.0.0.0:{port}" not in manifests.dockerfile:
            yield f"Deployment: the port {name} is {port}, which is not where {variable} in the image says"
    service_ports = {port["name"]: port for port in manifests.one("Service")["spec"]["ports"]}
    if set(service_ports) != set(ports) or any(port["targetPort"] != name for name, port in service_ports.items()):
        yield f"Service: its ports {list(service_ports.values())} do not lead to the container's of the same names, {ports}"
    if service_ports["grpc"].get("appProtocol") != "kubernetes.io/h2c":
        yield "Service: the port grpc has not the appProtocol kubernetes.io/h2c"
    for monitor in manifests.of_kind("ServiceMonitor"):
        if [endpoint["port"] for endpoint in monitor["spec"]["endpoints"]] != ["http-metrics"]:
            yield "ServiceMonitor: it does not scrape the port http-metrics alone"
    allowed = {port["port"] for rule in manifests.one("NetworkPolicy")["spec"]["ingress"] for port in rule["ports"]}
    if allowed != set(ports):
        yield f"NetworkPolicy: it lets in {sorted(allowed)}, the container's ports are {sorted(ports)}"


def check_probes(manifests):
    for name, service in (("startupProbe", None), ("readinessProbe", None), ("livenessProbe", "liveness")):
        wanted = {"port": manifests.container_ports["grpc"], **({"service": service} if service else {})}
        found = manifests.container.get(name, {}).get("grpc")
        if found != wanted:
            yield f"{name}: {found} found, {wanted} expected"


def check_stopping(manifests):
    drain, grace = (float(manifests.settings[f"ATTND_{name}_SECONDS"]) for name in ("DRAIN_DELAY", "GRACE_PERIOD"))
    given = manifests.pod["spec"]["terminationGracePeriodSeconds"]
    if drain + grace + STOP_MARGIN_SECONDS > given:
        yield f"terminationGracePeriodSeconds: {given} found, at least {drain:g} + {grace:g} + {STOP_MARGIN_SECONDS} expected"
    if drain <= 0:
        yield "ATTND_DRAIN_DELAY_SECONDS: 0 found; callers need time to see that a pod goes"


def check_resources(manifests):
    resources = manifests.container["resources"]
    if resources["requests"] != resources["limits"]:
        yield f"resources: the requests are not the limits: {resources}"
    memory, message = size_bytes(resources["limits"]["memory"]), size_bytes(manifests.settings["ATTND_MAX_MESSAGE_BYTES"])
    needed = LARGEST_REQUESTS_IN_MEMORY * MEMORY_PER_MESSAGE * message
    if needed > memory // 2:
        yield (f"ATTND_MAX_MESSAGE_BYTES: {LARGEST_REQUESTS_IN_MEMORY} of the largest requests take {needed} bytes, which is "
               f"more than half of {memory}")


def check_replicas(manifests):
    scaler, deployment = manifests.one("HorizontalPodAutoscaler")["spec"], manifests.one("Deployment")
    target = scaler["scaleTargetRef"]
    if (target["apiVersion"], target["kind"], target["name"]) != ("apps/v1", "Deployment", deployment["metadata"]["name"]):
        yield f"HorizontalPodAutoscaler: its target {target} is not the Deployment"
    if "replicas" in deployment["spec"]:
        yield "Deployment: its replicas would undo the autoscaler's at each apply"
    spare = scaler["minReplicas"] - manifests.one("PodDisruptionBudget")["spec"]["maxUnavailable"]
    if spare < 1:
        yield f"PodDisruptionBudget: it lets {spare} of {scaler['minReplicas']} pods stay"


def check_restricted(manifests):
    """The `restricted` pod security standard, and a root file system that cannot be written, and no token."""
    pod, container = manifests.pod["spec"], manifests.container
    pod_security, security = pod.get("securityContext", {}), container.get("securityContext", {})
    wanted = [
        ("one container, which these rules are applied to", len(pod["containers"]) == 1 and not pod.get("initContainers")),
        ("no namespace of the host", not any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))),
        ("no port of the host", not any("hostPort" in port for port in container["ports"])),
        ("no volume", not pod.get("volumes")),
        ("not privileged", not security.get("privileged")),
        ("allowPrivilegeEscalation: false", security.get("allowPrivilegeEscalation") is False),
        ("no capability", security.get("capabilities") == {"drop": ["ALL"]}),
        ("runAsNonRoot: true", pod_security.get("runAsNonRoot") is True and security.get("runAsNonRoot", True)),
        ("the image's user", f"USER {pod_security.get('runAsUser')}:{pod_security.get('runAsGroup')}\n" in manifests.dockerfile
         and not {"runAsUser", "runAsGroup"} & set(security)),
        ("the runtime's seccomp profile", pod_security.get("seccompProfile") == {"type": "RuntimeDefault"}
         and "seccompProfile" not in security),
        ("no other setting of security", not {"sysctls", "seLinuxOptions", "appArmorProfile", "windowsOptions"} & set(pod_security)
         and not {"procMount", "seLinuxOptions", "appArmorProfile", "windowsOptions"} & set(security)),
        ("readOnlyRootFilesystem: true", security.get("readOnlyRootFilesystem") is True),
        ("no token", pod.get("automountServiceAccountToken") is False
         and manifests.one("ServiceAccount").get("automountServiceAccountToken") is False),
    ]
    for text, holds in wanted:
        if not holds:
            yield f"the pod: {text} expected"


def check_references(manifests):
    wanted = [{"configMapRef": {"name": manifests.one("ConfigMap")["metadata"]["name"]}}]
    if manifests.container.get("envFrom") != wanted:
        yield f"Deployment: envFrom is {manifests.container.get('envFrom')}, expected {wanted}"
    if manifests.pod["spec"]["serviceAccountName"] != manifests.one("ServiceAccount")["metadata"]["name"]:
        yield "Deployment: serviceAccountName is not the ServiceAccount's"
    if not manifests.container["image"].endswith(f":{manifests.version}"):
        yield f"Deployment: the image is {manifests.container['image']}, the project's version is {manifests.version}"


def disagreements(manifests):
    """All that does not fit together in manifests that the schemas allow, as lines."""
    return [line for check in (check_labels, check_ports, check_probes, check_stopping, check_resources, check_replicas,
                               check_restricted, check_references) for line in check(manifests)]


# ---- The settings, as the server sees them -----------------------------------------------------------------------------------


def check_settings(settings, attnd):
    """Yields what the server, started with the settings, says against them."""
    text = subprocess.run([attnd, "--help"], capture_output=True, text=True, timeout=START_SECONDS, check=True).stdout
    unknown = set(settings) - set(re.findall(r"\(Env:(\w+)\)", text))
    if unknown:
        yield f"ConfigMap: `attnd --help` lists no {', '.join(sorted(unknown))}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ATTND_")}
    with tempfile.TemporaryDirectory() as folder:
        port_file = pathlib.Path(folder, "ports.json")
        with subprocess.Popen(
                [attnd, "--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0", f"--port-file={port_file}"],
                env={**environment, **settings}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
            deadline = time.monotonic() + START_SECONDS
            while not port_file.exists() and server.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            if server.poll() is None:
                json.loads(port_file.read_text(encoding="utf-8"))
                server.send_signal(signal.SIGTERM)
                time.sleep(0.1)
                server.send_signal(signal.SIGTERM)  # without the drain delay
            output = server.communicate(timeout=START_SECONDS)[0]
            if server.returncode != 0:
                yield f"ConfigMap: the server ended with exit status {server.returncode}: {output}"


def read(repository, file):
    """The Manifests that `kustomize build` printed to the file."""
    version = re.search(r"^project\(attnd VERSION (\S+)", (repository / "CMakeLists.txt").read_text(encoding="utf-8"),
                        re.MULTILINE).group(1)
    documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    return Manifests(documents, (repository / "deploy/Dockerfile").read_text(encoding="utf-8"), version)


def main(arguments):
    repository, attnd, *files = map(pathlib.Path, arguments)
    status = 0
    for file in files:
        manifests = read(repository, file)
        found = (list(check_schemas(manifests)) or disagreements(manifests)) + list(check_settings(manifests.settings, attnd))
        print(f"  {file.stem}: {len(manifests.documents)} manifests, {len(found)} violations")
        for line in found:
            status = 1
            print(f"    {line}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
