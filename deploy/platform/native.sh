# The way `native`: on a host that is Debian 13 itself. Read by ../in-debian13.

# A Debian without a number is testing or unstable, which are newer.
host_is_the_platform() {
  local version
  [[ $(os_release ID) == debian ]] || return 1
  version=$(os_release VERSION_ID)
  [[ -z $version ]] || ((${version%%.*} >= 13))
}

# The packages of the lists that this host does not have, one a line.
missing_packages() {
  comm -23 <(packages "${lists[@]}") <(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' |
    sed -n 's/^installed //p' | LC_ALL=C sort -u)
}

can_native() {
  local missing
  # Who forces it knows better.
  [[ ${ATTND_PLATFORM_WAY:-} == native ]] || host_is_the_platform || {
    reason="this host is $(os_release PRETTY_NAME)"
    help="run it on a Debian 13 host"
    return 1
  }
  ((EUID != 0)) || return 0 # root installs what is missing
  missing=$(missing_packages | paste -sd ' ')
  [[ -n $missing ]] || return 0
  reason="packages are missing, and you are not root"
  help="sudo apt-get install --no-install-recommends $missing"
  return 1
}

run_native() {
  local missing
  mapfile -t missing < <(missing_packages)
  if ((${#missing[@]})); then
    say "installing ${missing[*]}"
    apt_install "${missing[@]}" >&2 || fail "apt-get could not install: ${missing[*]}"
  fi
  cd "$folder"
  exec "$@"
}
