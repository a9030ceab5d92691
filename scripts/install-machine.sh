# shellcheck shell=bash
# What the machine has and what it lacks. A part of install.sh, which reads this file; of no use by itself.

readonly DISK_PROGRAM=1 DISK_MODELS=100 # GiB

# A Python of the machine, the newest that works: not the caller's virtualenv, nor one in a home, which the service may
# not look into.
find_python() {
    local candidate real lacking=
    for candidate in /usr/bin/python3 /usr/bin/python3.{20..11} /usr/local/bin/python3 /usr/local/bin/python3.{20..11}; do
        real=$(readlink -e "$candidate") || continue
        [[ $real != /home/* && $real != /root/* ]] || continue
        "$candidate" -I -c 'import sys; sys.exit(sys.version_info < (3, 11) or sys.prefix != sys.base_prefix)' \
            2> /dev/null || continue
        if "$candidate" -I -c 'import ensurepip, venv' 2> /dev/null; then
            python=$candidate
            return
        fi
        lacking=${lacking:-$candidate}
    done
    [[ -z $lacking ]] || fail "$("$lacking" --version) lacks its venv module:
    sudo apt-get install $(basename "$(readlink -e "$lacking")")-venv"
    fail "sparkd needs Python 3.11 or newer, and this machine has none:
    sudo apt-get install python3 python3-venv"
}

free_gib() {
    local folder=$1
    while [[ ! -e $folder ]]; do folder=$(dirname "$folder"); done
    echo $(($(df --output=avail -k "$folder" | tail -n 1) / 1024 / 1024))
}

require() {
    find_python
    (($(free_gib "$ROOT$prefix") >= DISK_PROGRAM)) || fail "$prefix needs $DISK_PROGRAM GiB of disk:
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

# What sparkd itself can do without and engines may not.
advise() {
    [[ -z $ROOT ]] || return 0
    [[ -e /dev/nvidiactl || -e /proc/driver/nvidia/version ]] ||
        note "there is no NVIDIA driver, so engines have no GPU: $(driver_command)"
    command -v g++ > /dev/null ||
        note "engines compile kernels, and there is no compiler: sudo apt-get install gcc g++"
    "$python" -I -c 'import os, sys, sysconfig; sys.exit(
        not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
        note "engines compile kernels, and Python's headers are lacking: sudo apt-get install $(
            basename "$(readlink -e "$python")")-dev"
    command -v ninja > /dev/null || note "engines compile kernels with ninja: sudo apt-get install ninja-build"
    local free
    free=$(free_gib "$STATE")
    ((free >= DISK_MODELS)) ||
        note "$STATE has $free GiB of disk for models, and large ones take 20 to 100 GiB each. \`lsblk\` shows other disks;
    docs/systemd.md tells how one is mounted for models"
}
