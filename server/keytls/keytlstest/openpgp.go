// SPDX-License-Identifier: Apache-2.0

package keytlstest

import (
	"bytes"
	"crypto"
	"crypto/dsa" //lint:ignore SA1019 the oldest clients have no other keys
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"mandos/server/keytls"
)

// OpenPGPKind is a type and size of OpenPGP key.
type OpenPGPKind string

// The kinds of OpenPGP keys that clients have had. The last one is too weak.
const (
	OpenPGPRSA2048 OpenPGPKind = "RSA 2048"
	OpenPGPRSA4096 OpenPGPKind = "RSA 4096"
	OpenPGPDSA2048 OpenPGPKind = "DSA 2048"
	OpenPGPDSA1024 OpenPGPKind = "DSA 1024"
)

// OpenPGPKey is an OpenPGP key pair with its certificate.
type OpenPGPKey struct {
	private     any // *rsa.PrivateKey or *dsa.PrivateKey
	fingerprint []byte
	certificate []byte
}

// NewOpenPGPKey has gpg make a key, with a subkey for encryption as mandos-keygen
// had them.
func NewOpenPGPKey(kind OpenPGPKind) (*OpenPGPKey, error) {
	home, err := os.MkdirTemp("", "keytlstest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(home)
	defer exec.Command("gpgconf", "--homedir", home, "--kill", "gpg-agent").Run()
	typ, length, _ := strings.Cut(string(kind), " ")
	parameters := fmt.Sprintf("Key-Type: %s\nKey-Length: %s\nSubkey-Type: RSA\nSubkey-Length: 2048\nName-Real: Mandos client\n"+
		"Expire-Date: 0\n%%no-protection\n%%commit\n", typ, length)
	var exported [2][]byte
	for i, arguments := range [][]string{{"--gen-key"}, {"--export-secret-keys"}, {"--export"}} {
		gpg := exec.Command("gpg", append([]string{"--homedir", home, "--batch", "--quiet"}, arguments...)...)
		gpg.Stdin = strings.NewReader(parameters)
		var complaints strings.Builder
		gpg.Stderr = &complaints
		out, err := gpg.Output()
		if err != nil {
			return nil, fmt.Errorf("gpg %v (package gnupg): %w\n%s", arguments, err, complaints.String())
		}
		if i > 0 {
			exported[i-1] = out
		}
	}
	return readOpenPGPKey(exported[0], exported[1])
}

func readOpenPGPKey(secret, certificate []byte) (*OpenPGPKey, error) {
	entity, err := openpgp.ReadEntity(packet.NewReader(bytes.NewReader(secret)))
	if err != nil {
		return nil, fmt.Errorf("what gpg exported: %w", err)
	}
	certificate, err = asGnuTLSWritesIt(certificate)
	if err != nil {
		return nil, fmt.Errorf("what gpg exported: %w", err)
	}
	return &OpenPGPKey{entity.PrivateKey.PrivateKey, entity.PrimaryKey.Fingerprint, certificate}, nil
}

// asGnuTLSWritesIt writes the packets of a certificate with headers in the formats
// that GnuTLS uses: the old one for the primary key and the user ID, the new one for
// the rest.
func asGnuTLSWritesIt(certificate []byte) (written []byte, err error) {
	const publicKey, userID = 6, 13
	for packets := packet.NewOpaqueReader(bytes.NewReader(certificate)); ; {
		p, err := packets.Next()
		if errors.Is(err, io.EOF) {
			return written, nil
		}
		if err != nil {
			return nil, err
		}
		switch n := len(p.Contents); {
		case p.Tag == publicKey:
			written = append(written, 0x99, byte(n>>8), byte(n))
		case p.Tag == userID:
			written = append(written, 0xb4, byte(n))
		case n < 192:
			written = append(written, 0xc0|p.Tag, byte(n))
		default:
			written = append(written, 0xc0|p.Tag, byte((n-192)>>8)+192, byte(n-192))
		}
		written = append(written, p.Contents...)
	}
}

// Fingerprint is the fingerprint of the primary key in upper-case hex, as it stands
// in clients.conf.
func (k *OpenPGPKey) Fingerprint() string { return strings.ToUpper(hex.EncodeToString(k.fingerprint)) }

// Certificate is the certificate as GnuTLS sends it.
func (k *OpenPGPKey) Certificate() []byte { return bytes.Clone(k.certificate) }

// isDSA reports whether the primary key is for DSA, otherwise it is for RSA.
func (k *OpenPGPKey) isDSA() bool {
	_, is := k.private.(*dsa.PrivateKey)
	return is
}

// Sign signs content with the primary key and the hash function of scheme.
func (k *OpenPGPKey) Sign(scheme keytls.SignatureScheme, content []byte) ([]byte, error) {
	hash := map[keytls.SignatureScheme]crypto.Hash{2: crypto.SHA1, 4: crypto.SHA256, 5: crypto.SHA384, 6: crypto.SHA512}[scheme>>8]
	digest := hash.New()
	digest.Write(content)
	sum := digest.Sum(nil)
	switch private := k.private.(type) {
	case *rsa.PrivateKey:
		return rsa.SignPKCS1v15(rand.Reader, private, hash, sum)
	case *dsa.PrivateKey:
		r, s, err := dsa.Sign(rand.Reader, private, sum[:min(len(sum), private.Q.BitLen()/8)])
		return derWithoutSign(r, s), err
	}
	return nil, fmt.Errorf("no primary key of type %T can sign", k.private)
}

// derWithoutSign is the SEQUENCE of two INTEGERs as GnuTLS has it: without the zero
// octet that says that a number is not negative.
func derWithoutSign(numbers ...*big.Int) []byte {
	var content []byte
	for _, number := range numbers {
		content = append(append(content, 2, byte(len(number.Bytes()))), number.Bytes()...)
	}
	return append([]byte{0x30, byte(len(content))}, content...)
}
