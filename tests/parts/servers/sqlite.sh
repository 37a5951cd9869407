# What the SQLite container runs: nothing, until it is told to stop. Clients open the file themselves.
trap 'exit 0' TERM
sleep infinity &
wait
