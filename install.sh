#!/usr/bin/env bash
# Installs sparkd as a systemd service on this machine, or upgrades it. Run it from a copy of sparkd's repository.
#
#   sudo ./install.sh                install or upgrade, and open port 8009 on loopback
#   sudo ./install.sh --no-start     the same, without starting anything
#   sudo ./install.sh --uninstall    remove sparkd; keep configuration, keys and models
#   sudo ./install.sh --purge        remove sparkd, configuration, keys and models
#
#   --dry-run        print what would be done, and change nothing
#   --prefix DIR     install the program into DIR (default: /opt/sparkd)
#   --wheels DIR     take the Python packages from DIR, not from the network
#   --help           print this text
#
# DESTDIR=DIR ./install.sh installs everything below DIR, for packages. It creates no user and starts nothing.
#
# It installs: the program, its environment and runtimes into PREFIX; catalogue and API keys into /etc/sparkd; models,
# caches and logs into /var/lib/sparkd; units into /usr/local/lib/systemd/system; /usr/local/bin/sparkctl; completions for
# bash, zsh and fish into /usr/local/share; and the system user sparkd.
# It builds the new version beside the old one and then renames files into place. If any step fails, the old version stays.
set -Eeuo pipefail
umask 022

SOURCE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
readonly SOURCE ROOT=${DESTDIR:-}
readonly ETC=/etc/sparkd STATE=/var/lib/sparkd CONTROL=/run/sparkd-control.sock

prefix=/opt/sparkd action=install dry=false start=true wheels=
name='' version='' old='' python='' committed=false was_active=false interrupted=false created_user=false
notices=() sockets_before=()

say() { echo "==> $*"; }
note() { echo "note: $*"; }
fail() {
    echo "error: $*" >&2
    exit 1
}

# Runs a command. With --dry-run, prints it instead.
run() {
    if $dry; then
        printf '    %q' "$1"
        shift
        (($# == 0)) || printf ' %q' "$@"
        echo
    else
        "$@"
    fi
}

# shellcheck source=scripts/install-machine.sh
source "$SOURCE/scripts/install-machine.sh"
# shellcheck source=scripts/install-files.sh
source "$SOURCE/scripts/install-files.sh"
# shellcheck source=scripts/install-running.sh
source "$SOURCE/scripts/install-running.sh"

print_usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

parse_arguments() {
    while (($#)); do
        case $1 in
            --help | -h)
                print_usage
                exit 0
                ;;
            --dry-run) dry=true ;;
            --no-start) start=false ;;
            --uninstall) [[ $action == purge ]] || action=uninstall ;;
            --purge) action=purge ;;
            --prefix | --wheels)
                (($# > 1)) || fail "$1 needs a directory"
                [[ $1 == --prefix ]] && prefix=$2 || wheels=$2
                shift
                ;;
            --prefix=*) prefix=${1#*=} ;;
            --wheels=*) wheels=${1#*=} ;;
            *) fail "unknown option $1. Run $0 --help for the list." ;;
        esac
        shift
    done
    check_arguments
}

check_arguments() {
    [[ $prefix =~ ^(/[A-Za-z0-9._-]+){2,}$ && $prefix != */.* ]] ||
        fail "--prefix $prefix: give an absolute path with two parts or more and without spaces, such as /opt/sparkd."
    [[ $prefix != /home/* && $prefix != /root/* ]] ||
        fail "--prefix $prefix: the service has no access to /home and /root. Choose another directory."
    if [[ -n $wheels ]]; then
        [[ -d $wheels ]] || fail "--wheels $wheels: no such directory"
        wheels=$(cd -- "$wheels" && pwd)
    fi
    if [[ -n $ROOT ]]; then
        [[ $ROOT == /* ]] || fail "DESTDIR=$ROOT: give an absolute path."
        start=false
    elif ! $dry; then
        ((EUID == 0)) || fail "root privileges are needed. Run: sudo $0"
        [[ -d /run/systemd/system || $action != install ]] || ! $start ||
            fail "systemd does not run on this machine. To install without starting sparkd, add --no-start."
    fi
}

# The new version, beside the old one ----------------------------------------------------------------------------------

# Identifies the input of a build, so that the same version is not built twice.
fingerprint() {
    {
        "$python" --version && echo "$python $prefix"
        cd "$SOURCE"
        find sparkd venvs units pyproject.toml requirements{-build,}.lock models.toml install.sh scripts/install-*.sh \
            -name __pycache__ -prune -o -type f -print0 | sort -z | xargs -0 sha256sum
    } | sha256sum | cut -c 1-12
}

# Prints the catalogue that comes with sparkd, with the directories of this installation. Needs the new version's Python.
print_catalogue() {
    cat << CATALOGUE
# sparkd's catalogue. An upgrade replaces this file only if you have not changed it. Otherwise the upgrade writes the new one
# to models.toml.new. Put your own models and settings into files in models.d/.
#
# The port is set in sparkd.socket, because systemd opens it. The API keys are in $ETC/keys, which only root can read:
# systemd opens that file as the daemon's standard input.

CATALOGUE
    "$ROOT$version/bin/python" -I -B - "$STATE" "$prefix" << 'PYTHON'
import sys

import tomli_w

state, prefix = sys.argv[1:]
paths = {"models": f"{state}/models", "state": state, "run": "/run/sparkd"}
paths |= {"venvs": f"{prefix}/current/venvs", "runtimes": f"{prefix}/runtimes"}
print(tomli_w.dumps({"server": {"api_key_file": "/dev/stdin"}, "paths": paths}))
PYTHON
    grep -v '^#' "$SOURCE/models.toml"
}

build() {
    if [[ -e $ROOT$version/complete ]]; then
        say "$name is already built"
        return
    fi
    say "Building $version with $("$python" --version)"
    local pip=("$ROOT$version/bin/python" -I -B -m pip --disable-pip-version-check --no-cache-dir --quiet)
    local install=("${pip[@]}" install --root-user-action ignore --no-warn-script-location --no-compile)
    [[ -z $wheels ]] || install+=(--no-index --find-links "$wheels")
    make_directory "$prefix/versions"
    run rm -rf "$ROOT$version"
    run "$python" -I -m venv "$ROOT$version"
    # The build tools come first: a package without a wheel is then built with the pinned ones, and nothing else is downloaded.
    run "${install[@]}" --require-hashes --requirement "$SOURCE/requirements-build.lock"
    run "${install[@]}" --use-pep517 --no-build-isolation --require-hashes --requirement "$SOURCE/requirements.lock"
    # From a copy, because setuptools writes into the directory that it builds from.
    run mkdir "$ROOT$version/share" "$ROOT$version/completions" "$ROOT$version/source"
    run cp -R "$SOURCE"/{sparkd,pyproject.toml,README.md,LICENSE} "$ROOT$version/source"
    run "${install[@]}" --no-deps --no-build-isolation "$ROOT$version/source"
    run rm -rf "$ROOT$version/source"
    # The build tools are not needed to run it.
    run "${pip[@]}" uninstall --yes --root-user-action ignore setuptools pip
    # The service cannot write here. Without bytecode it would compile every module at each start.
    run "$ROOT$version/bin/python" -I -m compileall -q -s "$ROOT" -p / "$ROOT$version/lib"
    run cp -R "$SOURCE/venvs" "$SOURCE/units" "$ROOT$version"
    if $dry; then
        echo "    # units, completions and the catalogue, with $prefix in them"
    else
        write_derived_files
    fi
    [[ -n $ROOT ]] || run "$version/bin/sparkd" --version > /dev/null
    run touch "$ROOT$version/complete"
}

# Writes every file of a version that contains the version's own path.
write_derived_files() {
    local shell
    find "$ROOT$version/units" -type f -exec sed -i "s|/opt/sparkd|$prefix|g" {} +
    for shell in bash zsh fish; do
        "$ROOT$version/bin/python" -I -B -m sparkd.cli completion "$shell" > "$ROOT$version/completions/$shell"
    done
    installed_files > "$ROOT$version/share/installed-files"
    print_catalogue > "$ROOT$version/share/models.toml"
    [[ -z $ROOT ]] || grep -rlIF "$ROOT$prefix" "$ROOT$version"/{bin,pyvenv.cfg,lib/python*/site-packages/sparkd-*} |
        xargs -r sed -i "s|$ROOT$prefix|$prefix|g"
}

# The owner's user, directories, keys and catalogue ----------------------------------------------------------------------

create_user() {
    [[ -z $ROOT ]] || return 0
    getent passwd sparkd > /dev/null || {
        say "Creating the system user sparkd"
        created_user=true
        run useradd --system --user-group --home-dir "$STATE" --no-create-home --shell /usr/sbin/nologin sparkd
    }
}

configure() {
    make_directory "$ETC/models.d"
    make_directory "$prefix/runtimes"
    make_directory "$STATE"
    [[ -n $ROOT ]] || run chown sparkd:sparkd "$STATE"
    run chmod 750 "$ROOT$STATE"
    if [[ ! -e $ROOT$ETC/keys && -z $ROOT ]]; then
        say "Writing a random API key to $ETC/keys, which only root can read"
        stage <(new_keys) "$ETC/keys" 600
    fi
    stage_catalogue
}

new_keys() {
    echo "# API keys, one per line: a name, then the key. After a change run \`sudo systemctl reload sparkd\`. If your editor"
    echo "# replaces the file instead of writing into it, as most do, run \`sudo systemctl restart sparkd\`."
    echo "owner: sk-$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"
}

digest() { sha256sum | cut -d ' ' -f 1; }

# models.toml.sha256 has the digest of the catalogue installed last. If models.toml still matches it, the owner has not
# changed the file.
stage_catalogue() {
    local file=$ETC/models.toml own='' installed='' shipped=''
    # A dry run has not built the new catalogue, and assumes that it is different.
    [[ ! -e $ROOT$version/share/models.toml ]] || shipped=$(digest < "$ROOT$version/share/models.toml")
    [[ ! -e $ROOT$file ]] || own=$(digest < "$ROOT$file")
    [[ ! -e $ROOT$file.sha256 ]] || installed=$(cut -d ' ' -f 1 "$ROOT$file.sha256")
    if [[ -n $own && -n $shipped && $shipped == "$installed" ]]; then return; fi
    if [[ -z $own ]]; then
        say "Writing $file"
        stage "$ROOT$version/share/models.toml" "$file"
    elif [[ $own == "$installed" ]]; then
        say "Replacing $file with the new version, because you have not changed it"
        stage "$ROOT$version/share/models.toml" "$file"
    elif [[ $own != "$shipped" ]]; then
        stage "$ROOT$version/share/models.toml" "$file.new"
        notices+=("sparkd's catalogue has changed. You have changed $file, so it stays as it is. Compare it with the new one:
    diff $file $file.new")
    fi
    stage <(echo "$shipped  models.toml") "$file.sha256"
}

# Checks the catalogue with the new program, before anything changes.
check_catalogue() {
    local directory=$version/check own=$ETC/models.toml
    [[ -z $ROOT ]] || return 0
    say "Checking the catalogue with the new program"
    $dry || [[ ! -e $own$NEW ]] || own=$own$NEW
    run rm -rf "$directory"
    run mkdir "$directory"
    run ln -s "$ETC/models.d" "$directory/models.d"
    run cp "$own" "$directory/models.toml"
    run sed -i "s|\"$prefix/current/|\"$version/|" "$directory/models.toml" # `current` is still the old version
    run "$version/bin/sparkctl" --catalogue "$directory/models.toml" check
    run rm -rf "$directory"
}

# Install, uninstall -----------------------------------------------------------------------------------------------------

# Restores the old version after a failure, and exits.
roll_back() {
    local status=$?
    ((BASH_SUBSHELL == 0)) || exit "$status" # the parent shell rolls back
    trap - ERR INT TERM HUP
    ((status)) || status=130 # interrupted
    set +e
    $dry && exit "$status"
    if $committed; then
        echo "error: the installation failed; restoring the old version" >&2
    else
        echo "error: the installation failed; nothing was changed" >&2
    fi
    [[ -n $old ]] || ! $committed || stop_units
    [[ -e $ROOT$version/complete && -n $old ]] || rm -rf "$ROOT${version:?}"
    restore_files
    ! $created_user || userdel sparkd
    if $committed; then
        reload_units
        reopen_sockets
        if $interrupted || { $was_active && ! is_active "$SERVICE"; }; then systemctl restart "$SERVICE"; fi
    fi
    exit "$status"
}

# Removes old versions, except the previous one and the one that a daemon still runs from.
remove_old_versions() {
    local directory runs
    runs=$(running_version)
    for directory in "$ROOT$prefix"/versions/*; do
        case $directory in
            "$ROOT$version" | "$ROOT$old" | "$ROOT$runs") ;;
            *) [[ ! -d $directory ]] || run rm -rf "$directory" || note "could not remove the old version $directory" ;;
        esac
    done
}

lock() {
    [[ -d $ROOT$prefix ]] && ! $dry || return 0
    exec 9< "$ROOT$prefix"
    flock --nonblock 9 || fail "another install.sh is running for $prefix. Wait until it has finished."
}

install_all() {
    local notice
    check_requirements
    suggest_packages
    name=$("$python" -I -c 'import sys, tomllib; print(tomllib.load(sys.stdin.buffer)["project"]["version"])' \
        < "$SOURCE/pyproject.toml")-$(fingerprint)
    version=$prefix/versions/$name
    [[ -z $ROOT ]] || run mkdir -p "$ROOT"
    make_directory "$prefix"
    lock
    recover
    old=$(readlink "$ROOT$prefix/current") || old=
    [[ -d $ROOT$old ]] || old=
    ! is_active "$SERVICE" || was_active=true
    trap roll_back ERR INT TERM HUP
    build
    create_user
    stage_version "$version"
    configure
    check_catalogue
    remember_sockets
    say "Replacing files"
    $dry || commit
    reload_units
    ! $start || start_version
    trap - ERR INT TERM HUP
    $dry || remove_backups
    remove_old_versions
    for notice in "${notices[@]}"; do note "$notice"; done
    print_next_steps
}

print_next_steps() {
    if $dry; then
        say "Dry run: nothing was changed"
    elif $start; then
        say "Done. sparkd starts with the first connection. Try:
    curl http://127.0.0.1:8009/v1/models -H \"Authorization: Bearer \$(sudo sed -n 's/^owner: //p' $ETC/keys)\"
    sudo sparkctl doctor    # checks the installation and suggests what to do next"
    else
        say "Done. To start sparkd: sudo systemctl enable --now ${SOCKETS[*]}"
    fi
}

uninstall() {
    local file
    lock
    recover
    say "Stopping sparkd"
    stop_units
    say "Removing units, completions, $LINK and $prefix"
    while read -r file; do
        ! exists "$file" || run rm -f "$ROOT$file"
    done < <(installed_paths)
    reload_units
    if [[ $action == purge ]]; then
        say "Removing $ETC, $STATE, drop-ins of sparkd's units and the user sparkd"
        run rm -rf "$ROOT$ETC" "$ROOT$STATE" "$ROOT"/etc/systemd/system/sparkd{,-control,-ollama}.{service,socket,slice}.d
        if [[ -z $ROOT ]] && getent passwd sparkd > /dev/null; then run userdel sparkd; fi
    else
        say "Kept: $ETC (configuration, keys), $STATE (models, logs), the user sparkd. To remove them too: $0 --purge"
    fi
    run rm -rf "$ROOT$prefix"/{current,versions,runtimes}
    remove_created_directories
    run rm -f "$ROOT$prefix/folders"
    remove_if_empty "$prefix"
}

export PYTHONDONTWRITEBYTECODE=1 # compileall compiles everything once, at the end
unset PIP_REQUIRE_VIRTUALENV PYTHONPATH PYTHONHOME VIRTUAL_ENV
parse_arguments "$@"
case $action in
    install) install_all ;;
    *) uninstall ;;
esac
