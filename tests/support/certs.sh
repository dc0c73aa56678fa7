#!/bin/sh
# Makes the certificates that TLS tests use, anew for each run, in the folder $1: nothing of it
# lasts longer than the test, so nothing of it is in the tree.
#
#   ca.pem                authority that the tests trust         other-ca.pem   one that they do not
#   good.{pem,key}        api.example.com, localhost, 127.0.0.1, ::1
#   rsa, wrong-host, expired, future, unknown, self-signed     the same but for what the name says
#   chain.{pem,key}       by an authority in between, which the file holds too
#   expired-chain         the same, and that authority expired
#   locked.key            good.key under a passphrase            both.pem       good.pem and good.key
set -eu
cd "$1"
exec >openssl.log 2>&1

cat >openssl.cnf <<END
[ca]
default_ca = it
[it]
dir = .
new_certs_dir = .
database = index
serial = serial
default_md = sha256
policy = any
email_in_dn = no
rand_serial = yes
unique_subject = no
copy_extensions = none
[any]
commonName = supplied
[req]
distinguished_name = dn
prompt = no
[dn]
CN = unused
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[good]
subjectAltName = DNS:api.example.com, DNS:localhost, IP:127.0.0.1, IP:::1
extendedKeyUsage = serverAuth
[wrong]
subjectAltName = DNS:other.example, IP:127.0.0.2
END
: >index

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"; }

# authority NAME: signs itself.
authority() {
    key "$1"
    openssl req -x509 -config openssl.cnf -extensions authority -new -key "$1.key" -days 2 \
        -subj "/CN=Test $1" -out "$1.pem"
}

# signed NAME BY EXTENSIONS FROM UNTIL: NAME.key is there.
signed() {
    openssl req -config openssl.cnf -new -key "$1.key" -subj "/CN=Test $1" -out "$1.csr"
    openssl ca -config openssl.cnf -batch -notext -cert "$2.pem" -keyfile "$2.key" -extensions "$3" \
        -startdate "$4" -enddate "$5" -in "$1.csr" -out "$1.pem"
}

day() { date -u -d "$1 days" +%Y%m%d%H%M%SZ; }
yesterday=$(day -1)
tomorrow=$(day 1)

authority ca
authority other-ca
for name in good wrong-host expired future unknown between old-between chain expired-chain; do
    key "$name"
done
openssl genrsa -out rsa.key 2048
signed good ca good "$yesterday" "$tomorrow"
signed rsa ca good "$yesterday" "$tomorrow"
signed wrong-host ca wrong "$yesterday" "$tomorrow"
signed expired ca good 20200101000000Z 20210203040506Z
signed future ca good 20480910111213Z 20490101000000Z
signed unknown other-ca good "$yesterday" "$tomorrow"
signed between ca authority "$yesterday" "$tomorrow"
signed old-between ca authority 20200101000000Z 20210203040506Z
signed chain between good "$yesterday" "$tomorrow"
signed expired-chain old-between good "$yesterday" "$tomorrow"
cat between.pem >>chain.pem
cat old-between.pem >>expired-chain.pem
key self-signed
openssl req -x509 -config openssl.cnf -extensions good -new -key self-signed.key -days 2 \
    -subj "/CN=Test self-signed" -out self-signed.pem
openssl pkcs8 -topk8 -in good.key -passout pass:secret -out locked.key
cat good.pem good.key >both.pem
echo "no certificate" >garbage.pem
: >empty.pem
