# What the MariaDB container runs: makes its data when there is none, then becomes the server.
set -e
mkdir -p /run/mysqld
chown -R mysql: /var/lib/mysql /run/mysqld
if [ ! -d /var/lib/mysql/mysql ]; then
    mariadb-install-db --user=mysql --auth-root-authentication-method=normal --skip-test-db >/dev/null
    password=$(printf %s "$MYSQL_ROOT_PASSWORD" | sed "s/[\\\\']/\\\\&/g")
    printf '%s\n' "FLUSH PRIVILEGES;" "ALTER USER root@localhost IDENTIFIED BY '$password';" \
        "CREATE DATABASE \`$MYSQL_DATABASE\`;" | mariadbd --bootstrap
fi
exec mariadbd --skip-networking
