#!/bin/sh
# Makes development certificates with OpenSSL: make-dev-certs.sh [DIR [NAME=ENDPOINT...]]; see README.md beside this.
set -eu
umask 077

dir=${1:-$(dirname "$0")}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- internet=region-1.log.example.com intranet=region-1-intranet.log.example.com
mkdir -p "$dir"

if [ ! -f "$dir/ca.key" ]; then
  openssl req -x509 -new -newkey rsa:3072 -nodes -sha256 -days 3650 -subj "/O=Sluice/CN=Sluice development CA" \
    -addext "basicConstraints=critical,CA:TRUE,pathlen:0" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" \
    -addext "nameConstraints=critical,permitted;DNS:log.example.com,permitted;DNS:localhost,permitted;IP:127.0.0.0/255.0.0.0" \
    -keyout "$dir/ca.key" -out "$dir/ca.pem"
fi

for pair in "$@"; do
  name=${pair%%=*}
  endpoint=${pair#*=}
  extensions=$(mktemp)
  cat > "$extensions" <<END
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:$endpoint, DNS:*.$endpoint
END
  openssl req -new -newkey rsa:2048 -nodes -subj "/O=Sluice/CN=$endpoint" \
    -keyout "$dir/$name.key" -out "$dir/$name.csr"
  openssl x509 -req -sha256 -days 397 -in "$dir/$name.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial \
    -extfile "$extensions" -out "$dir/$name.pem"
  rm -f "$extensions" "$dir/$name.csr"
  echo "made $dir/$name.pem for $endpoint and *.$endpoint"
done
