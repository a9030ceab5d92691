# shellcheck shell=bash
# Starts, stops and replaces what runs: units, sockets, the daemon. A part of install.sh, which sources it; do not run it by
# itself.

# The properties of a socket unit that require a new socket when they change. systemd resolves the owner's drop-ins.
readonly ADDRESS=Listen
readonly OPTIONS=Backlog,BindIPv6Only,BindToDevice,SocketUser,SocketGroup,SocketMode,Symlinks,FreeBind,ReusePort,KeepAlive,NoDelay

reload_units() { [[ -n $ROOT || ! -d /run/systemd/system ]] || run systemctl daemon-reload; }

is_active() { [[ -z $ROOT ]] && systemctl is-active --quiet "$1" 2> /dev/null; }

show() { systemctl show "$1" --property "$2" 2> /dev/null || true; }

# Prints the version that the daemon runs from. Prints nothing if it does not run.
running_version() {
    local pid program
    is_active "$SERVICE" || return 0
    pid=$(systemctl show "$SERVICE" --property MainPID --value)
    read -r -d '' program < "/proc/$pid/cmdline" || return 0
    [[ $program != "$prefix"/versions/*/bin/* ]] || dirname "$(dirname "$program")"
}

remember_sockets() {
    local socket
    for socket in "${SOCKETS[@]}" "${OPTIONAL_SOCKETS[@]}"; do
        ! is_active "$socket" || sockets_before+=("$socket" "$(show "$socket" $ADDRESS)" "$(show "$socket" $OPTIONS)")
    done
}

# Restarts sockets whose unit has changed. An open socket stays open, because connections wait in it, with two exceptions:
# its address has changed (systemd has closed it already, when it read the unit), or the daemon does not run.
reopen_sockets() {
    local i socket
    for ((i = 0; i < ${#sockets_before[@]}; i += 3)); do
        socket=${sockets_before[i]}
        if [[ $(show "$socket" $ADDRESS) != "${sockets_before[i + 1]}" ]]; then
            say "$socket has a new address. Opening it restarts sparkd"
        elif [[ $(show "$socket" $OPTIONS) == "${sockets_before[i + 2]}" ]]; then
            continue
        elif is_active "$SERVICE"; then
            notices+=("$socket has changed. It stays open with its old options, because connections may wait in it. To apply
the new ones when no client is connected:
    sudo systemctl restart $socket")
            continue
        else
            say "$socket has changed. Opening it again"
        fi
        interrupted=$was_active
        run systemctl restart "$socket"
    done
}

start_version() {
    say "Opening the sockets"
    $dry || reopen_sockets
    run systemctl enable --quiet --now "${SOCKETS[@]}"
    $was_active || return 0
    if [[ $(running_version) == "$version" ]]; then return; fi
    say "Replacing the running daemon. Loaded models stay loaded, and requests wait until the new daemon runs"
    if run "$prefix/current/bin/sparkctl" --socket "$CONTROL" reexec; then
        unit_has_changed || return 0
        notices+=("$SERVICE has changed. The new settings apply after: sudo systemctl restart sparkd")
        return
    fi
    say "Could not replace the running daemon, so restarting it. Models are loaded again, and connections wait"
    interrupted=true
    run systemctl restart "$SERVICE"
}

unit_has_changed() { ! $dry && ! cmp -s "$ROOT$UNITS/$SERVICE" "$ROOT$UNITS/$SERVICE$OLD"; }

stop_units() {
    [[ -z $ROOT && -d /run/systemd/system ]] || return 0
    run systemctl disable --quiet --now "${SOCKETS[@]}" "${OPTIONAL_SOCKETS[@]}" "$SERVICE" 2> /dev/null || true
    run systemctl reset-failed "$SERVICE" "${SOCKETS[@]}" "${OPTIONAL_SOCKETS[@]}" 2> /dev/null || true
    run rm -rf /run/sparkd "$CONTROL"
}
