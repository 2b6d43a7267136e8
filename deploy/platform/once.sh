# What takes a while is made once, whoever else runs at the same time. Read by ../in-debian13.

maker= # the process that makes it

# make_once IS_THERE MAKE DISCARD, three functions: unless IS_THERE, calls MAKE, while no other process makes anything in the same
# cache; whoever waited for another finds it made. When a signal ends this process meanwhile, the maker ends with it, and DISCARD
# removes what is half-made.
make_once() {
  local signal
  ! "$1" || return 0
  exec {lock}>"$cache/lock"
  flock --nonblock "$lock" || {
    say "waiting for another run that makes the platform"
    flock "$lock"
  }
  if ! "$1"; then
    for signal in INT TERM HUP; do
      # shellcheck disable=SC2064  # now
      trap "interrupted $signal $3" "$signal"
    done
    "$2"
    trap - INT TERM HUP
  fi
  exec {lock}>&-
}

interrupted() {
  trap - INT TERM HUP
  [[ -z $maker ]] || { kill -s "$maker_ends_by" "$maker" && wait "$maker"; } 2>/dev/null || true
  "$2"
  kill -s "$1" $$
}

# await STATE: waits for the maker; every five seconds tells what the function STATE prints. Its status is the maker's.
await() {
  local started=$SECONDS
  while kill -0 "$maker" 2>/dev/null; do
    sleep 1
    (((SECONDS - started) % 5)) || say "  $((SECONDS - started)) s${1:+, $("$1")}"
  done
  wait "$maker"
}
