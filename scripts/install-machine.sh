# shellcheck shell=bash
# Checks what the machine has and suggests what to install. A part of install.sh, which sources it; do not run it by itself.

readonly DISK_PROGRAM=1 DISK_MODELS=100 # GiB

# Finds the newest Python of the machine that works. Skips the caller's virtualenv, and Pythons in /home and /root, to which
# the service has no access.
find_python() {
    local candidate real without_venv=
    for candidate in /usr/bin/python3 /usr/bin/python3.{20..11} /usr/local/bin/python3 /usr/local/bin/python3.{20..11}; do
        real=$(readlink -e "$candidate") || continue
        [[ $real != /home/* && $real != /root/* ]] || continue
        "$candidate" -I -c 'import sys; sys.exit(sys.version_info < (3, 11) or sys.prefix != sys.base_prefix)' \
            2> /dev/null || continue
        if "$candidate" -I -c 'import ensurepip, venv' 2> /dev/null; then
            python=$candidate
            return
        fi
        without_venv=${without_venv:-$candidate}
    done
    [[ -z $without_venv ]] || fail "$("$without_venv" --version) has no venv module. Install it, then run this again:
    sudo apt-get install $(basename "$(readlink -e "$without_venv")")-venv"
    fail "sparkd needs Python 3.11 or newer, and this machine has none. Install it, then run this again:
    sudo apt-get install python3 python3-venv"
}

free_gib() {
    local directory=$1
    while [[ ! -e $directory ]]; do directory=$(dirname "$directory"); done
    echo $(($(df --output=avail -k "$directory" | tail -n 1) / 1024 / 1024))
}

check_requirements() {
    find_python
    local free
    free=$(free_gib "$ROOT$prefix")
    ((free >= DISK_PROGRAM)) ||
        fail "$prefix needs $DISK_PROGRAM GiB of disk, and $free GiB are free. Free some, then run this again:
    df -h $prefix; sudo apt-get clean"
}

driver_command() {
    local ID=''
    # shellcheck source=/dev/null
    [[ ! -e /etc/os-release ]] || source /etc/os-release
    case $ID in
        ubuntu) echo "sudo ubuntu-drivers install" ;;
        *) echo "sudo apt-get install nvidia-driver (in Debian's non-free)" ;;
    esac
}

# Suggests what engines need and sparkd itself does not.
suggest_packages() {
    [[ -z $ROOT ]] || return 0
    [[ -e /dev/nvidiactl || -e /proc/driver/nvidia/version ]] ||
        note "no NVIDIA driver found, so engines cannot use a GPU. Install one: $(driver_command)"
    command -v g++ > /dev/null ||
        note "no compiler found, and engines compile kernels. Install one: sudo apt-get install gcc g++"
    "$python" -I -c 'import os, sys, sysconfig; sys.exit(
        not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
        note "Python's headers are missing, and engines compile kernels. Install them: sudo apt-get install $(
            basename "$(readlink -e "$python")")-dev"
    command -v ninja > /dev/null ||
        note "ninja is missing, and engines compile kernels with it. Install it: sudo apt-get install ninja-build"
    local free
    free=$(free_gib "$STATE")
    ((free >= DISK_MODELS)) ||
        note "$STATE has $free GiB free, and a large model takes 20 to 100 GiB. To put models on another disk, find it with
    \`lsblk\` and mount it as docs/systemd.md describes."
}
