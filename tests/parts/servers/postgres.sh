# What the PostgreSQL container runs: makes its data when there is none, then becomes the server.
set -e
own() { chroot --userspec=postgres:postgres --skip-chdir / "$@"; }
mkdir -p "$PGDATA" /run/postgresql
chown -R postgres: "$PGDATA" /run/postgresql
chmod 700 "$PGDATA"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    password=/run/postgresql/password
    printf %s "$POSTGRES_PASSWORD" >"$password"
    chown postgres: "$password"
    own initdb --username="$POSTGRES_USER" --pwfile="$password" --auth-local=trust --auth-host=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 --no-sync --no-instructions
    rm "$password"
    [ "$POSTGRES_DB" = postgres ] || echo "CREATE DATABASE \"$POSTGRES_DB\"" | own postgres --single template1
fi
exec chroot --userspec=postgres:postgres --skip-chdir / postgres -c listen_addresses= \
    -c unix_socket_directories=/run/postgresql
