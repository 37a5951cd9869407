#!/bin/sh
# Turns unpacked packages into a root file system that servers run in: $1 is its folder. Called by mmdebstrap for
# database_image.py. The packages' own scripts have not run (that takes twice as long again): what a server needs of
# what they do is done here. Perl, LLVM (only the JIT of PostgreSQL uses it), documents and translations go: two
# thirds of the size.
set -eu
cd "$1"

rm -rf boot var/cache var/lib/dpkg var/lib/postgresql var/lib/mysql lib/udev lib/systemd usr/lib/systemd etc/mysql
(cd usr/share && rm -rf doc man locale i18n info lintian perl* bash-completion gtk-doc zoneinfo/right zoneinfo/posix)
(cd usr/lib && rm -rf ./*/perl* ./*/libperl* ./*/gconv ./*/libLLVM* ./*/libz3* llvm*)
(cd usr/lib/postgresql && rm -rf ./*/lib/llvmjit* ./*/lib/bitcode)
(cd usr/bin && rm -f perl* aria_* myisam* perror innochecksum resolve_stack_dump replace)
for tool in binlog upgrade slap import show conv plugin tzinfo-to-sql waitpid; do rm -f "usr/bin/mariadb-$tool"; done
grep -rlI '^#!.*perl' bin sbin usr/bin usr/sbin | xargs rm -f
find usr/bin -lname '*/pg_wrapper' -delete # a Perl script

mkdir -p usr/local/bin
for tool in usr/lib/postgresql/*/bin/*; do ln -s "/$tool" usr/local/bin/; done
for applet in $(bin/busybox --list); do # for what no package above brings
    for folder in bin sbin usr/bin usr/sbin; do [ ! -e "$folder/$applet" ] || continue 2; done
    ln -sf busybox "bin/$applet"
done

id() { printf '%s\n' "$1:x:$2:$2::/:/bin/sh" >>etc/passwd && printf '%s\n' "$1:x:$2:" >>etc/group; }
rm -f etc/passwd etc/group
id root 0 && id postgres 70 && id mysql 71 && id redis 72 && id nobody 65534
rm -rf var/run
ln -s /run var/run
mkdir -p data tmp
chmod 1777 tmp
cat >etc/my.cnf <<'END'
[client-server]
socket = /run/mysqld/mysqld.sock
[client]
default-character-set = utf8mb4
[mariadbd]
character_set_server = utf8mb4
user = mysql
datadir = /var/lib/mysql
innodb_log_file_size = 8M
innodb_data_file_path = ibdata1:4M:autoextend
innodb_temp_data_file_path = ibtmp1:2M:autoextend
innodb_autoextend_increment = 2
innodb_buffer_pool_size = 32M
skip_name_resolve
END
