# shellcheck shell=bash
# What runs: systemd, the sockets, the daemon. A part of install.sh, which reads this file; of no use by itself.

# What makes another socket of a socket unit, as systemd understands it with the owner's drop-ins.
readonly ADDRESS=Listen
readonly WAYS=Backlog,BindIPv6Only,BindToDevice,SocketUser,SocketGroup,SocketMode,Symlinks,FreeBind,ReusePort,KeepAlive,NoDelay

reload() { [[ -n $ROOT || ! -d /run/systemd/system ]] || act systemctl daemon-reload; }

is_active() { [[ -z $ROOT ]] && systemctl is-active --quiet "$1" 2> /dev/null; }

show() { systemctl show "$1" --property "$2" 2> /dev/null || true; }

# The version from which the daemon runs, if it does.
running_version() {
    local pid program
    is_active "$SERVICE" || return 0
    pid=$(systemctl show "$SERVICE" --property MainPID --value)
    read -r -d '' program < "/proc/$pid/cmdline" || return 0
    [[ $program != "$prefix"/versions/*/bin/* ]] || dirname "$(dirname "$program")"
}

take_note_of_sockets() {
    local socket
    for socket in "${SOCKETS[@]}"; do
        ! is_active "$socket" || before+=("$socket" "$(show "$socket" $ADDRESS)" "$(show "$socket" $WAYS)")
    done
}

# A socket that is open stays so: connections wait in it. A changed unit opens another only where that is another address,
# for systemd lets go of the old one when it reads the unit, or where nobody can wait because nothing runs.
reopen() {
    local i socket
    for ((i = 0; i < ${#before[@]}; i += 3)); do
        socket=${before[i]}
        if [[ $(show "$socket" $ADDRESS) != "${before[i + 1]}" ]]; then
            say "$socket listens elsewhere now: opening it there. That restarts sparkd"
        elif [[ $(show "$socket" $WAYS) == "${before[i + 2]}" ]]; then
            continue
        elif is_active "$SERVICE"; then
            news+=("$socket has changed, and stays open as it was, for connections wait in it. When none does:
    sudo systemctl restart $socket")
            continue
        else
            say "$socket has changed: opening it anew"
        fi
        touched=$was_active
        act systemctl restart "$socket"
    done
}

renew() {
    say "Opening the sockets"
    $dry || reopen
    act systemctl enable --quiet --now "${SOCKETS[@]}"
    $was_active || return 0
    if [[ $(running_version) == "$version" ]]; then return; fi
    say "Handing over to the new sparkd; models stay, requests made meanwhile wait"
    if act "$prefix/current/bin/sparkctl" --socket "$CONTROL" reexec; then
        unit_has_changed || return 0
        news+=("$SERVICE has changed too; what it says holds from the next start of sparkd: sudo systemctl restart sparkd")
        return
    fi
    say "It could not be handed over. Restarting sparkd: models are loaded anew, connections made meanwhile wait"
    touched=true
    act systemctl restart "$SERVICE"
}

unit_has_changed() { ! $dry && ! cmp -s "$ROOT$UNITS/$SERVICE" "$ROOT$UNITS/$SERVICE$OLD"; }

close() {
    [[ -z $ROOT && -d /run/systemd/system ]] || return 0
    act systemctl disable --quiet --now "${SOCKETS[@]}" "$SERVICE" 2> /dev/null || true
    act systemctl reset-failed "$SERVICE" "${SOCKETS[@]}" 2> /dev/null || true
    act rm -rf /run/sparkd "$CONTROL"
}
