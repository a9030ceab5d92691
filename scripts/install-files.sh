# shellcheck shell=bash
# Installs files outside PREFIX: all of them or none. A part of install.sh, which sources it; do not run it by itself.
#
# 1. Write every new file beside its destination (.sparkd-new). A full disk is noticed before anything has changed.
# 2. Copy every file that will be replaced (.sparkd-old), the link `current` last.
# 3. Rename the new files into place.
# If a later step fails, the copies are renamed back. If install.sh is killed, the next run renames them back: a copy of
# `current` shows that the last run did not finish.

readonly NEW=.sparkd-new OLD=.sparkd-old
readonly UNITS=/usr/local/lib/systemd/system SHARE=/usr/local/share LINK=/usr/local/bin/sparkctl
readonly SERVICE=sparkd.service SOCKETS=(sparkd.socket sparkd-control.socket sparkd-writer.socket)
readonly OPTIONAL_SOCKETS=(sparkd-ollama.socket) # in place, and enabled by the owner
readonly PROTECTED=(system.slice user.slice ssh.service) # each gets a drop-in that protects memory for it

staged=() retired=() created=()

# Prints what a version installs, one file per line: its path in the version's directory, and its destination.
installed_files() {
    local unit
    for unit in "$SERVICE" "${SOCKETS[@]}" "${OPTIONAL_SOCKETS[@]}" sparkd-writer@.service sparkd.slice; do
        echo "units/$unit $UNITS/$unit"
    done
    for unit in "${PROTECTED[@]}"; do
        echo "units/memory/$unit.conf $UNITS/$unit.d/50-sparkd.conf"
    done
    echo "completions/bash $SHARE/bash-completion/completions/sparkctl"
    echo "completions/bash $SHARE/bash-completion/completions/sparkd"
    echo "completions/zsh $SHARE/zsh/site-functions/_sparkctl"
    echo "completions/fish $SHARE/fish/vendor_completions.d/sparkctl.fish"
    echo "completions/fish $SHARE/fish/vendor_completions.d/sparkd.fish"
}

# Prints every destination of the installed version and of this one.
installed_paths() {
    {
        installed_files
        cat "$ROOT$prefix/current/share/installed-files" 2> /dev/null || true
    } | cut -d ' ' -f 2 | sort -u
    echo "$LINK"
}

exists() { [[ -e $ROOT$1 || -L $ROOT$1 ]]; }

# Creates a directory and its parents, and records them, so that a rollback or an uninstall can remove them.
make_directory() {
    [[ $1 != / && ! -d $ROOT$1 ]] || return 0
    make_directory "$(dirname "$1")"
    run mkdir "$ROOT$1"
    created+=("$1")
    if $dry || [[ ! -d $ROOT$prefix ]]; then return; fi
    if [[ $1 == "$prefix" ]]; then printf '%s\n' "${created[@]}"; else echo "$1"; fi >> "$ROOT$prefix/folders"
}

# stage FILE DESTINATION [MODE]
stage() {
    make_directory "$(dirname "$2")"
    if $dry; then
        run install -m "${3:-644}" "$1" "$ROOT$2"
        return
    fi
    staged+=("$2")
    install -m "${3:-644}" "$1" "$ROOT$2$NEW"
}

# stage_link TARGET DESTINATION
stage_link() {
    make_directory "$(dirname "$2")"
    if $dry; then
        run ln -sfn "$1" "$ROOT$2"
        return
    fi
    staged+=("$2")
    ln -sfn "$1" "$ROOT$2$NEW"
}

# Stages every file of a version except the catalogue, which the owner may have changed.
stage_version() {
    local version=$1 file destination
    stage_link "$version" "$prefix/current"
    stage_link "$prefix/current/bin/sparkctl" "$LINK"
    while read -r file destination; do
        stage "$ROOT$version/$file" "$destination"
    done < <(installed_files)
    while read -r destination; do
        [[ " ${staged[*]} " == *" $destination "* ]] || ! exists "$destination" || retired+=("$destination")
    done < <(installed_paths)
}

commit() {
    local path
    # `current` is copied last: its copy shows that renaming may have begun.
    for path in "${staged[@]:1}" "${retired[@]}" "${staged[0]}"; do
        ! exists "$path" || cp -afT "$ROOT$path" "$ROOT$path$OLD"
    done
    committed=true
    for path in "${staged[@]}"; do
        mv -fT "$ROOT$path$NEW" "$ROOT$path"
    done
    for path in "${retired[@]}"; do
        rm -f "$ROOT$path"
    done
}

# Removes the copies of the old files. From here on nothing is rolled back.
remove_backups() {
    local path
    committed=false
    for path in "${staged[@]}" "${retired[@]}"; do # `current` is the first
        rm -f "$ROOT$path$OLD" || note "could not remove the old copy $ROOT$path$OLD"
    done
}

# Undoes what this run has changed.
restore_files() {
    local path i
    for path in "${staged[@]}" "${retired[@]}"; do
        if $committed; then
            if exists "$path$OLD"; then mv -fT "$ROOT$path$OLD" "$ROOT$path"; else rm -f "$ROOT$path"; fi
        fi
        rm -f "$ROOT$path"{"$NEW","$OLD"}
    done
    [[ -n $old ]] || rm -f "$ROOT$prefix/folders"
    for ((i = ${#created[@]} - 1; i >= 0; i--)); do
        remove_if_empty "${created[i]}"
    done
}

# Undoes what a killed run has changed, and removes the files that it left.
recover() {
    local path unfinished=false
    ! exists "$prefix/current$OLD" || unfinished=true
    ! $unfinished || say "The last installation was interrupted; restoring the old version first"
    while read -r path; do
        if $unfinished && exists "$path$OLD"; then run mv -fT "$ROOT$path$OLD" "$ROOT$path"; fi
        if exists "$path$OLD" || exists "$path$NEW"; then run rm -f "$ROOT$path"{"$NEW","$OLD"}; fi
    done < <(
        installed_paths
        printf '%s\n' "$ETC"/{keys,models.toml,models.toml.new,models.toml.sha256} "$prefix/current"
    )
    ! $unfinished || reload_units
}

remove_if_empty() { [[ ! -d $ROOT$1 || -n $(ls -A "$ROOT$1") ]] || run rmdir "$ROOT$1"; }

# Removes the directories that this and earlier runs have created, if they are empty.
remove_created_directories() {
    local directory
    while read -r directory; do
        remove_if_empty "$directory"
    done < <(tac "$ROOT$prefix/folders" 2> /dev/null)
}
