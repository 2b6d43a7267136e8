# The ways `podman` and `docker`: a container of the image that the stage `dev` of ../Dockerfile makes, on hosts where only such an
# engine is. Read by ../in-debian13.

can_podman() { can_engine podman; }
can_docker() { can_engine docker; }
run_podman() { run_in_a_container "$@"; }
run_docker() { run_in_a_container "$@"; }

can_engine() {
  local said
  command -v "$1" >/dev/null || {
    reason="it is not installed"
    help="install $1"
    return 1
  }
  said=$(timeout 60 "$1" info 2>&1) || {
    reason="no engine answers it ($(tail -n 1 <<<"$said"))"
    help="start $1's engine and be allowed to use it; \`$1 info\` tells"
    return 1
  }
}

image_is_there() { "$way" image inspect "$image" >/dev/null 2>&1; }

# The image's context is only the package lists. What an engine leaves running holds no lock.
make_image() {
  local started=$SECONDS context=$cache/making-context log=$cache/making-image.log
  rm -rf "$context"
  mkdir -p "$context/deploy"
  cp -r "${ATTND_PLATFORM_PACKAGES:-$here/packages}" "$context/deploy/packages"
  say "making a Debian 13 image, once, with $(packages "${lists[@]}" | wc -l) packages and what they depend on"
  "$way" build --network host --target dev --build-arg LISTS="${lists[*]}" --file "$here/Dockerfile" --tag "$image" "$context" \
    >"$log" 2>&1 </dev/null {lock}>&- &
  maker=$! maker_ends_by=HUP # podman hands it on to the step under way and then cleans up, which it does for no other signal
  await state_of_image || {
    sed "s/^/  $way: /" "$log" | tail -n 40 >&2
    discard_context
    fail "$way could not make the image; its last lines are above." "It needs the image debian:$suite-slim and a mirror of Debian."
  }
  discard_context
  say "made in $((SECONDS - started)) s: $image"
}

state_of_image() { grep -v '^[[:space:]]*$' "$cache/making-image.log" | tail -n 1 | cut -c1-100; }

# An engine keeps nothing under the image's name that is not whole.
discard_context() { rm -rf "$cache/making-context" "$cache/making-image.log"; }

# Whether what root makes in a container belongs to the user outside, since the engine is the user's own.
engine_is_rootless() {
  [[ $way == podman ]] || [[ $("$way" info --format '{{.SecurityOptions}}') == *rootless* ]]
}

run_in_a_container() {
  local place name
  image=attnd-dev:$( (packages "${lists[@]}"; cat "$here/Dockerfile"; echo "$suite") | sha256sum | cut -c1-12)
  make_once image_is_there make_image discard_context

  mkdir -p "$cache/home"
  # With the host's processes, so that the command is no process 1, to which signals mean something else; unconfined, since
  # sanitizers turn the randomisation of addresses off, and since labels would have to be put on all of /tmp.
  local options=(--rm --interactive --network host --pid host --userns host --security-opt seccomp=unconfined
    --security-opt label=disable --workdir "$folder" --env PATH="$platform_path" --env LC_ALL=C.UTF-8)
  [[ ! -t 0 || ! -t 1 ]] || options+=(--tty)
  ((EUID == 0)) || engine_is_rootless || options+=(--user "$(id -u):$(id -g)")
  # A home of its own, unless it is seen anyway; with places for what is mounted below, else the engine makes them, as root.
  case $HOME/ in "$checkout"/* | /tmp/*) ;; *) options+=(--mount "type=bind,source=$cache/home,target=$HOME") ;; esac
  for place in "$checkout" /tmp "$cache/ccache" "$cache/tools"; do
    [[ $place != "$HOME"/* ]] || mkdir -p "$cache/home${place#"$HOME"}"
    options+=(--mount "type=bind,source=$place,target=$place")
  done
  while read -r name; do
    case " PATH LC_ALL ${misleading[*]} " in *" $name "*) ;; *) options+=(--env "$name") ;; esac
  done < <(compgen -e)
  exec "$way" run "${options[@]}" "$image" "$@"
}
