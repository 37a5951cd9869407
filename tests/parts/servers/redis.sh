# What the Redis container runs: becomes the server, which writes each command to its append-only file.
set -e
chown -R redis: /data
exec chroot --userspec=redis:redis --skip-chdir / redis-server --dir /data --bind 127.0.0.1 --appendonly yes \
    ${REDIS_PASSWORD:+--requirepass "$REDIS_PASSWORD"}
