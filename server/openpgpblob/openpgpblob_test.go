// SPDX-License-Identifier: Apache-2.0

package openpgpblob

import (
	"bytes"
	"crypto"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

func entity(t testing.TB, config *packet.Config) *openpgp.Entity {
	t.Helper()
	config.DefaultHash = crypto.SHA256
	e, err := openpgp.NewEntity("host", "", "", config)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func encryptedTo(t testing.TB, config *packet.Config, to ...*openpgp.Entity) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := openpgp.Encrypt(&b, to, nil, nil, config)
	return finish(t, &b, w, err)
}

func finish(t testing.TB, b *bytes.Buffer, w io.WriteCloser, err error) []byte {
	t.Helper()
	if err == nil {
		_, err = io.WriteString(w, "correct horse")
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func armored(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, "PGP MESSAGE", nil)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestEncryptedDataSaysToWhom(t *testing.T) {
	rsa := entity(t, &packet.Config{RSABits: 2048})
	weak := entity(t, &packet.Config{RSABits: 1024, Algorithm: packet.PubKeyAlgoRSA})
	curve := entity(t, &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	var symmetric bytes.Buffer
	w, err := openpgp.SymmetricallyEncrypt(&symmetric, []byte("passphrase"), nil, nil)
	finish(t, &symmetric, w, err)
	for sentence, c := range map[string]struct {
		data []byte
		want string
	}{
		"an RSA key":      {encryptedTo(t, nil, rsa), keyID(rsa) + " (RSA, 2048 bits)"},
		"ASCII armor":     {armored(t, encryptedTo(t, nil, rsa)), keyID(rsa) + " (RSA, 2048 bits)"},
		"a weak RSA key":  {encryptedTo(t, nil, weak), keyID(weak) + " (RSA, 1024 bits) weak"},
		"an elliptic key": {encryptedTo(t, nil, curve), keyID(curve) + " (ECDH)"},
		"two keys":        {encryptedTo(t, nil, rsa, curve), keyID(rsa) + " (RSA, 2048 bits), " + keyID(curve) + " (ECDH)"},
		"a passphrase":    {symmetric.Bytes(), "passphrase"},
	} {
		blob, err := Inspect(c.data)
		if err != nil {
			t.Errorf("%s: %v", sentence, err)
			continue
		}
		var all []string
		for _, r := range blob.Recipients {
			text := r.String()
			if r.Weak() {
				text += " weak"
			}
			all = append(all, text)
		}
		if blob.Passphrase {
			all = append(all, "passphrase")
		}
		if got := strings.Join(all, ", "); got != c.want || !blob.Integrity {
			t.Errorf("%s: %q, integrity %v, want %q", sentence, got, blob.Integrity, c.want)
		}
	}
}

func keyID(e *openpgp.Entity) string { return e.Subkeys[0].PublicKey.KeyIdString() }

func TestWhatIsNotProperlyEncryptedIsRefused(t *testing.T) {
	rsa := entity(t, &packet.Config{RSABits: 2048})
	good := encryptedTo(t, nil, rsa)
	first := firstPacket(good)
	var literal bytes.Buffer
	w, err := packet.SerializeLiteral(writer{&literal}, true, "", 0)
	finish(t, &literal, w, err)
	for sentence, c := range map[string]struct {
		data  []byte
		want  string
		plain bool
	}{
		"plain text":                  {[]byte("correct horse"), "it is no OpenPGP data", true},
		"a literal packet":            {literal.Bytes(), "packet of type 11", true},
		"nothing":                     {nil, "empty", false},
		"only blanks":                 {[]byte("  \n"), "it is no OpenPGP data", true},
		"cut off in the session key":  {good[:100], "damaged", false},
		"cut off in the data":         {good[:len(good)-10], "damaged", false},
		"only the session key":        {good[:first], "cut off", false},
		"plain data after the secret": {append(bytes.Clone(good), literal.Bytes()...), "something follows", false},
		"only the encrypted part":     {good[first:], "to nobody", false},
		"armor without an end":        {armored(t, good)[:200], "damaged", false},
		"too much":                    {make([]byte, MaxSize+1), "more than", false},
	} {
		blob, err := Inspect(c.data)
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrPlain) != c.plain {
			t.Errorf("%s: %+v, error %v, want one with %q", sentence, blob, err, c.want)
		}
	}
}

// firstPacket is the length of the first packet, which has a length of two bytes (RFC
// 9580, 4.2.1.2) and is shorter when its number happens to begin with zeros.
func firstPacket(data []byte) int { return 3 + int(data[1]-192)<<8 + int(data[2]) + 192 }

type writer struct{ io.Writer }

func (writer) Close() error { return nil }

func FuzzInspect(f *testing.F) {
	rsa := entity(f, &packet.Config{RSABits: 2048})
	good := encryptedTo(f, nil, rsa)
	f.Add(good)
	f.Add(armored(f, good))
	f.Add([]byte{0xc1, 0x03, 6, 0, 0})
	f.Add([]byte{0x84, 0x0c, 3, 1, 2, 3, 4, 5, 6, 7, 8, 1, 8, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		blob, err := Inspect(data)
		if (blob == nil) == (err == nil) {
			t.Fatalf("%+v and %v", blob, err)
		}
		if blob != nil && len(blob.Recipients) == 0 && !blob.Passphrase {
			t.Fatal("encrypted to nobody")
		}
	})
}

func TestWhatMayBeAClientsSecret(t *testing.T) {
	rsa := entity(t, &packet.Config{RSABits: 2048})
	weak := entity(t, &packet.Config{RSABits: 1024, Algorithm: packet.PubKeyAlgoRSA})
	good := encryptedTo(t, nil, rsa)
	first := firstPacket(good)
	var symmetric bytes.Buffer
	w, err := openpgp.SymmetricallyEncrypt(&symmetric, []byte("passphrase"), nil, nil)
	finish(t, &symmetric, w, err)
	old := append(bytes.Clone(good[:first]), 0xc0|encryptedOld, 30)
	old = append(old, make([]byte, 30)...)
	for sentence, c := range map[string]struct {
		secret []byte
		want   string
	}{
		"nothing":            {nil, "it is empty"},
		"a password":         {[]byte("my disk password"), "it is not encrypted: it is no OpenPGP data"},
		"a file of clients":  {[]byte("[host1]\nhost = host1\n"), "it is not encrypted: it is no OpenPGP data"},
		"half of one":        {good[:len(good)-10], "it is damaged: an OpenPGP packet is cut off or makes no sense"},
		"one for passphrase": {symmetric.Bytes(), "it is encrypted with a passphrase, and a client has only its key"},
		"one of old times":   {old, "it is encrypted in an old form that anybody could change unnoticed"},
	} {
		if _, err := Judge(c.secret); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %q", sentence, err, c.want)
		}
	}
	blob, err := Judge(encryptedTo(t, nil, rsa, weak))
	if err != nil || len(blob.Weak()) != 1 || blob.Weak()[0].Bits != 1024 || !strings.Contains(blob.Keys(), " (RSA, 2048 bits), ") {
		t.Errorf("a good one: %+v, %v", blob, err)
	}
}

func TestNoErrorHasAPieceOfTheSecret(t *testing.T) {
	const password = "correct horse battery staple"
	good := encryptedTo(t, nil, entity(t, &packet.Config{RSABits: 2048}))
	begin := []byte("-----BEGIN PGP MESSAGE-----\n\n")
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		data := bytes.Clone(good)
		at := r.IntN(len(data))
		switch r.IntN(4) {
		case 0:
			data = append(data[:at], password...)
		case 1:
			data = append([]byte(password), data[:at]...)
		case 2:
			data = append(append(bytes.Clone(begin), password...), armored(t, good)[:at]...)
		case 3:
			data = append([]byte{byte(0x80 | r.IntN(128)), byte(r.IntN(60))}, password...)
		}
		_, err := Judge(data)
		for i := range len(password) - 8 {
			if err != nil && strings.Contains(err.Error(), password[i:i+8]) {
				t.Fatalf("the error is %q", err)
			}
		}
	}
}
