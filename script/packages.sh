# To be sourced: makes the packages present that a script needs, or says how to.

# need PACKAGE TEST... - installs PACKAGE unless the TEST command succeeds.
need() {
    local package=$1
    shift
    if "$@" >/dev/null 2>&1; then return; fi
    local install=(apt-get install -y --no-install-recommends "$package")
    local as_root=()
    if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi
    if command -v apt-get >/dev/null && "${as_root[@]}" true 2>/dev/null; then
        echo "installing Debian's package $package" >&2
        "${as_root[@]}" apt-get update -qq >&2
        DEBIAN_FRONTEND=noninteractive "${as_root[@]}" "${install[@]}" -qq >&2
    fi
    if "$@" >/dev/null 2>&1; then return; fi
    echo "needed and not here: $package. Install it, on Debian with: sudo ${install[*]}" >&2
    exit 1
}

# True if a Postgres server is installed, not only its clients: on the PATH, or where Debian puts it.
have_postgres() {
    command -v initdb || ls /usr/lib/postgresql/*/bin/initdb
}

have_rust() {
    if command -v cargo >/dev/null; then return; fi
    echo "needed and not here: Rust 1.95 or newer, with cargo (https://rustup.rs)" >&2
    exit 1
}

# packages FOLDER - those of npm, as the folder's lock file has them, unless they are there already.
packages() {
    if [ ! -d "$1/node_modules" ] || [ "$1/package-lock.json" -nt "$1/node_modules/.package-lock.json" ]; then
        npm ci --prefix "$1" --no-fund --no-audit
    fi
}
