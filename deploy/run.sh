#!/usr/bin/env bash
# Starts a server on ./kalamdb-data, loads the sample namespace where it is not, and says how to reach
# it. Ctrl-C stops it.
#
#   deploy/run.sh <path of the kalamdb binary>
#
# KALAMDB_DATA_DIR, KALAMDB_LISTEN and KALAMDB_METRICS_LISTEN choose other places.
set -euo pipefail
cd "$(dirname "$0")/.."

kalamdb=$1
data_dir=${KALAMDB_DATA_DIR:-./kalamdb-data}

scratch=$(mktemp -d)
server=
stop() {
  trap '' INT TERM
  if [[ -n $server ]]; then
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" || true
  fi
  rm -rf "$scratch"
}
trap 'stop; printf "\nstopped\n"; exit 0' INT TERM
trap stop EXIT

mkfifo "$scratch/stdout"
"$kalamdb" serve --data-dir "$data_dir" \
  --listen "${KALAMDB_LISTEN:-127.0.0.1:50051}" \
  --metrics-listen "${KALAMDB_METRICS_LISTEN:-127.0.0.1:9464}" >"$scratch/stdout" &
server=$!
exec 3<"$scratch/stdout"

address=
while read -r line <&3; do
  if [[ $line == ready\ * ]]; then
    address=$(sed -E 's/.*flight=([^ ]+).*/\1/' <<<"$line")
    ready=$line
    break
  fi
  printf '%s\n' "$line"
done
if [[ -z $address ]]; then
  code=0
  wait "$server" || code=$?
  server=
  echo "the server did not start" >&2
  exit "$((code == 0 ? 1 : code))"
fi
# Whatever else the server says is shown, and never fills the pipe.
cat <&3 &

uri="grpc://$address"
password_file=$data_dir/root-password
sign_in=(--uri "$uri")
# The server writes the file only when it had to make a password up.
if [[ -e $password_file ]]; then
  sign_in+=(--password-file "$password_file")
  python_password="open(\"$password_file\").readline().rstrip()"
  jdbc_password=$(head -n 1 "$password_file")
else
  export KALAMDB_PASSWORD=${KALAMDB_ROOT_PASSWORD:-${KALAMDB_PASSWORD:-}}
  python_password="\"the password of root\""
  jdbc_password="the-password-of-root"
fi

show_namespaces=("$kalamdb" sql "${sign_in[@]}" --no-timing --format csv -c 'SHOW NAMESPACES')
if ! namespaces=$("${show_namespaces[@]}" 2>"$scratch/stderr"); then
  cat "$scratch/stderr" >&2
  echo "root cannot sign in, so nobody looked for the sample; KALAMDB_PASSWORD takes the password" >&2
elif ! grep -qx chat <<<"$namespaces"; then
  echo "loading the sample namespace 'chat' from deploy/sample.sql"
  if ! "$kalamdb" sql "${sign_in[@]}" --no-timing -f deploy/sample.sql >/dev/null; then
    echo "the sample was not loaded; DROP NAMESPACE chat CASCADE to try again" >&2
    exit 1
  fi
fi

cat <<TEXT
$ready

A shell:
  $kalamdb sql ${sign_in[*]}

Python (pip install adbc-driver-flightsql pyarrow):
  import adbc_driver_flightsql.dbapi as flightsql
  password = $python_password
  login = {"username": "root", "password": password}
  with flightsql.connect("$uri", db_kwargs=login, autocommit=True) as db:
      with db.cursor() as cursor:
          cursor.execute("SELECT * FROM chat.messages")
          print(cursor.fetch_arrow_table())

JDBC (org.apache.arrow:flight-sql-jdbc-driver):
  jdbc:arrow-flight-sql://$address/?useEncryption=false&user=root&password=$jdbc_password

Ctrl-C stops the server. The data stays in $data_dir.
TEXT

code=0
wait "$server" || code=$?
server=
exit "$code"
