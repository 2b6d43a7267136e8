# The ways `chroot` and `unshare`: Debian 13 as a folder of files, made with mmdebstrap and entered in a mount namespace; by others
# than root in a user namespace as well, in which they are root. Read by ../in-debian13.

# How the namespaces begin in which a root file system is made, entered and deleted.
namespaces() {
  case $way in
    chroot) printf '%s\n' unshare --mount --propagation private ;;
    # The user is root inside, so what is made in the checkout is the user's; other owners' numbers come from /etc/subuid.
    unshare) printf '%s\n' unshare --map-root-user --map-auto --mount --propagation private ;;
  esac
}

# What making one adds: when it is interrupted, or its parent killed, no process of it stays.
readonly making_too=(--pid --fork --kill-child --mount-proc)
readonly keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# ---- Whether it can be ------------------------------------------------------------------------------------------------------

can_chroot() {
  ((EUID == 0)) || {
    reason="you are not root"
    help="run it as root"
    return 1
  }
  command -v apt-get >/dev/null || {
    reason="there is no apt-get to make it with"
    help="run it on a Debian or Ubuntu host"
    return 1
  }
  namespaces_can_be chroot || {
    help="if this is a container, give it the capability SYS_ADMIN, or use the image debian:$suite"
    return 1
  }
}

can_unshare() {
  local missing=()
  command -v apt-get >/dev/null || missing+=(apt)
  command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
  command -v newuidmap >/dev/null || missing+=(uidmap)
  [[ -e $keyring ]] || missing+=(debian-archive-keyring)
  ((${#missing[@]} == 0)) || {
    reason="this host lacks ${missing[*]}"
    help="sudo apt-get install --no-install-recommends ${missing[*]}"
    return 1
  }
  namespaces_can_be unshare || {
    case $reason in
      */etc/sub[ug]id* | new[ug]idmap*) help="sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(user_name)" ;;
      *map-auto*) help="util-linux 2.38 or newer (Debian 12, Ubuntu 24.04)" ;;
      *) help="the kernel's leave to make user namespaces (kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu)" ;;
    esac
    return 1
  }
}

# namespaces_can_be WAY; else the reason is what unshare says.
namespaces_can_be() {
  local way=$1 namespaces said
  mapfile -t namespaces < <(namespaces)
  said=$("${namespaces[@]}" "${making_too[@]}" true 2>&1) && return
  reason=$(head -n 1 <<<"$said")
  return 1
}

# ---- Making it --------------------------------------------------------------------------------------------------------------

# On a host where this is root.
have_mmdebstrap() {
  local wanted=()
  command -v mmdebstrap >/dev/null || wanted+=(mmdebstrap)
  [[ -e $keyring ]] || wanted+=(debian-archive-keyring)
  ((${#wanted[@]})) || return 0
  say "installing ${wanted[*]} on this host"
  apt_install "${wanted[@]}" >"$making.log" 2>&1 || {
    cat "$making.log" >&2
    fail "apt-get could not install ${wanted[*]} on this host; its output is above."
  }
}

# The host's own mirror of Debian as a line of sources.list; on hosts that are not Debian nothing, for mmdebstrap's default.
apt_source() {
  local codename uri
  [[ $(os_release ID) == debian ]] || return 0
  codename=$(os_release VERSION_CODENAME)
  # shellcheck disable=SC2016  # the dollars are apt's
  uri=$(apt-get indextargets --format '$(ORIGIN)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' |
    awk -F'|' -v codename="$codename" '
      $3 == "main" && ($2 == codename || $2 == "stable" || $2 == "oldstable") {
        if ($1 == "Debian") { print $4; exit }            # known once the host has updated its lists
        if (!guess && $4 ~ /\/debian\/?$/) guess = $4
        if (!guess && $4 ~ /^mirror/) guess = $4
      }
      END { if (guess) print guess }' | head -n 1)
  [[ -z $uri ]] || printf 'deb %s %s main\n' "$uri" "$suite"
}

# mmdebstrap's options as far as they decide what is in it, one a line. Mode root also for the user, who is root in the namespace:
# the files then have the owners that the same namespace will see, and no other user must be able to reach the cache folder.
recipe() {
  printf '%s\n' --mode=root --variant=minbase --components=main --include="$(packages "${lists[@]}" | paste -sd,)" \
    --dpkgopt=force-unsafe-io '--dpkgopt=path-exclude=/usr/share/doc/*' '--dpkgopt=path-exclude=/usr/share/man/*' \
    '--dpkgopt=path-exclude=/usr/share/locale/*'
}

root_is_there() { [[ -d $root ]]; }

state_of_making() {
  local step
  step=$(sed -n 's/^I: //p' "$making.log" | tail -n 1)
  printf '%s MB: %s' "$(du -sm "$making" 2>/dev/null | cut -f1)" "${step:-starting}"
}

make_root() {
  local started=$SECONDS options namespaces source_line scheme proxy
  discard_what_is_half_made
  ((EUID != 0)) || have_mmdebstrap
  mapfile -t options < <(recipe)
  for scheme in http https; do
    proxy=$(apt-config dump --format '%v%n' "Acquire::$scheme::Proxy" | head -n 1)
    [[ -z $proxy ]] || options+=(--aptopt="Acquire::$scheme::Proxy \"$proxy\"")
  done
  source_line=$(apt_source)
  mapfile -t namespaces < <(namespaces)
  say "making a Debian 13 root file system, once, with $(packages "${lists[@]}" | wc -l) packages and what they depend on"
  # Its temporary files lie where they are discarded, since it may be killed.
  mkdir "$making.tmp"
  TMPDIR=$making.tmp "${namespaces[@]}" "${making_too[@]}" mmdebstrap "${options[@]}" "$suite" "$making" \
    ${source_line:+"$source_line"} >"$making.log" 2>&1 &
  maker=$! maker_ends_by=KILL # unshare waits for its child whatever else comes
  await state_of_making || {
    sed 's/^/  mmdebstrap: /' "$making.log" | tail -n 40 >&2
    discard_what_is_half_made
    fail "mmdebstrap could not make the root file system; its last lines are above." \
      "It needs the host's apt sources to reach a mirror that has $suite${source_line:+ (tried: $source_line)}."
  }
  mv "$making" "$root"
  rm -rf "$making.log" "$making.tmp"
  say "made in $((SECONDS - started)) s: $root"
}

# Whoever has the lock may delete what an earlier holder left half-made, since a maker that still runs holds it as well. One that
# has just been killed may write for another moment, so that a folder is not empty.
discard_what_is_half_made() {
  local namespaces tries
  mapfile -t namespaces < <(namespaces)
  for ((tries = 0; tries < 50; tries++)); do
    ! "${namespaces[@]}" rm -rf --one-file-system "$cache"/making-* 2>/dev/null || return 0
    sleep 0.1
  done
  fail "what an interrupted run left cannot be deleted: $cache/making-*"
}

# ---- Entering it ------------------------------------------------------------------------------------------------------------

# enter ROOT CHECKOUT CACHE FOLDER COMMAND…: mounts what the command sees and becomes it, in FOLDER. Runs in a mount namespace of
# its own, so the mounts end with the command. Nothing forks on the way: the process that was started is the command, and gets its
# signals.
enter() {
  local root=$1 checkout=$2 cache=$3 start=$4 folder file
  shift 4
  mount --bind "$root" "$root" # so that it can become the root of the mount namespace
  # With all that is mounted below, which a user namespace may not take apart.
  for folder in /proc /sys /dev /tmp "$checkout" "$cache/ccache" "$cache/tools"; do
    mkdir -p "$root$folder"
    mount --rbind "$folder" "$root$folder"
  done
  for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
    [[ -e $file ]] || continue
    [[ -e $root$file ]] || { mkdir -p "$root${file%/*}" && : >"$root$file"; }
    mount --bind "$file" "$root$file"
  done
  mkdir -p "$root$HOME"
  # Container programs that enter a mount namespace arrive at its root. Where the host's cannot be exchanged (it may be an
  # initramfs), the new root is that of this process alone.
  cd "$root"
  export PATH=$platform_path LC_ALL=C.UTF-8
  if pivot_root . . 2>/dev/null; then umount --lazy .; fi
  exec chroot . env -C "$start" "$@"
}

run_in_a_root() {
  local namespaces
  root=$cache/debian13-$( (recipe; echo "$suite $(dpkg --print-architecture) $way $EUID") | sha256sum | cut -c1-12)
  making=$cache/making-$(basename "$root")
  make_once root_is_there make_root discard_what_is_half_made
  mapfile -t namespaces < <(namespaces)
  unset "${misleading[@]}"
  exec "${namespaces[@]}" bash -c "set -euo pipefail; $(declare -p platform_path; declare -f enter); enter \"\$@\"" enter \
    "$root" "$checkout" "$cache" "$folder" "$@"
}
run_chroot() { run_in_a_root "$@"; }
run_unshare() { run_in_a_root "$@"; }
