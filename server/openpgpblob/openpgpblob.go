// SPDX-License-Identifier: Apache-2.0

// Package openpgpblob looks at OpenPGP data (RFC 9580) from outside, without any
// key: whether it really is encrypted, and to which keys. What may be a client's
// secret is decided here for both programs.
//
// No error has a piece of the data in it, which may be a password.
package openpgpblob

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// MaxSize bounds the data that is looked at, in bytes.
const MaxSize = 1 << 20

// ErrPlain is in the chain of the error about data that anybody can read.
var ErrPlain = errors.New("it is not encrypted")

// Blob is what can be seen of encrypted data from outside.
type Blob struct {
	// Recipients are the keys that it is encrypted to. There may be none if it
	// is encrypted with a passphrase.
	Recipients []Recipient
	// Passphrase reports whether it can be decrypted with a passphrase.
	Passphrase bool
	// Integrity reports whether a change of the data is found when it is decrypted.
	Integrity bool
}

// Recipient is a key that the data is encrypted to.
type Recipient struct {
	KeyID     string // upper-case hex: the last half of a version 4 fingerprint, or a whole version 6 one; zeroes for a hidden one
	Algorithm string
	Bits      int // of an RSA, ElGamal key, near enough; 0 for those of elliptic curves
}

// The packet types that matter (RFC 9580, section 5).
const (
	publicKeyEncrypted = 1
	symmetricEncrypted = 3
	encryptedOld       = 9
	marker             = 10
	encrypted          = 18
	padding            = 21
)

// Inspect looks at data, ASCII-armored or not. An error says why it is no
// properly encrypted message.
func Inspect(data []byte) (*Blob, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("it has more than %d bytes", MaxSize)
	}
	data, err := dearmor(data)
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, errors.New("it is empty")
	}
	if data[0]&0x80 == 0 {
		return nil, fmt.Errorf("%w: it is no OpenPGP data", ErrPlain)
	}
	blob, ended := &Blob{}, false
	for packets := packet.NewOpaqueReader(bytes.NewReader(data)); ; {
		p, err := packets.Next()
		switch {
		case errors.Is(err, io.EOF) && ended:
			return blob, nil
		case errors.Is(err, io.EOF):
			return nil, errors.New("it is cut off: the encrypted part is missing")
		case err != nil:
			return nil, errors.New("it is damaged: an OpenPGP packet is cut off or makes no sense")
		case ended:
			return nil, errors.New("something follows the encrypted part")
		}
		if ended, err = blob.add(p); err != nil {
			return nil, err
		}
	}
}

// Advice is what to do about a secret that cannot be meant.
const Advice = "make one with mandos-keygen --password on the client"

// Judge looks at a client's secret. The error is a sentence about the secret, "it
// ...", that says why it can hardly be meant as one.
func Judge(secret []byte) (*Blob, error) {
	blob, err := Inspect(secret)
	switch {
	case err != nil:
		return nil, err
	case len(blob.Recipients) == 0:
		return nil, errors.New("it is encrypted with a passphrase, and a client has only its key")
	case !blob.Integrity:
		return nil, errors.New("it is encrypted in an old form that anybody could change unnoticed")
	}
	return blob, nil
}

// Weak are the recipients whose keys are weak.
func (b *Blob) Weak() (weak []Recipient) {
	for _, r := range b.Recipients {
		if r.Weak() {
			weak = append(weak, r)
		}
	}
	return weak
}

// Keys names the keys that it is encrypted to.
func (b *Blob) Keys() string {
	keys := make([]string, len(b.Recipients))
	for i := range b.Recipients {
		keys[i] = b.Recipients[i].String()
	}
	return strings.Join(keys, ", ")
}

// dearmor takes off the ASCII armor, if there is one.
func dearmor(data []byte) ([]byte, error) {
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN PGP ")) {
		return data, nil
	}
	block, err := armor.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, errArmor
	}
	data, err = io.ReadAll(io.LimitReader(block.Body, MaxSize))
	if err != nil {
		return nil, errArmor
	}
	return data, nil
}

var errArmor = errors.New("its ASCII armor is damaged")

// add takes in one packet, and reports whether it has the encrypted data.
func (b *Blob) add(p *packet.OpaquePacket) (ended bool, err error) {
	switch p.Tag {
	case publicKeyEncrypted:
		r, err := recipient(p.Contents)
		b.Recipients = append(b.Recipients, r)
		return false, err
	case symmetricEncrypted:
		b.Passphrase = true
	case encrypted, encryptedOld:
		if len(b.Recipients) == 0 && !b.Passphrase {
			return false, errors.New("it is encrypted, but to nobody")
		}
		if len(p.Contents) < 20 {
			return false, errors.New("it is cut off: the encrypted part is too short")
		}
		b.Integrity = p.Tag == encrypted
		return true, nil
	case marker, padding:
	default:
		return false, fmt.Errorf("%w: it has an OpenPGP packet of type %d where encrypted data should be", ErrPlain, p.Tag)
	}
	return false, nil
}

var errRecipient = errors.New("it is damaged: a key that it is encrypted to cannot be read")

// recipient reads a public-key encrypted session key packet (RFC 9580, section
// 5.1).
func recipient(p []byte) (Recipient, error) {
	var id []byte
	switch {
	case len(p) > 10 && p[0] == 3:
		id, p = p[1:9], p[9:]
	case len(p) > 3 && p[0] == 6 && int(p[1]) >= 1 && len(p) > 2+int(p[1]):
		id, p = p[3:2+p[1]], p[2+p[1]:]
	default:
		return Recipient{}, errRecipient
	}
	r := Recipient{KeyID: strings.ToUpper(fmt.Sprintf("%x", id))}
	switch algorithm := p[0]; algorithm {
	case 1, 2:
		r.Algorithm, r.Bits = "RSA", bits(p[1:])
	case 16:
		r.Algorithm, r.Bits = "ElGamal", bits(p[1:])
	case 18:
		r.Algorithm = "ECDH"
	case 25:
		r.Algorithm = "X25519"
	case 26:
		r.Algorithm = "X448"
	default:
		r.Algorithm = fmt.Sprintf("algorithm %d", algorithm)
	}
	return r, nil
}

// bits is the size of a key, which the size of the number encrypted with it is
// only a few bits below.
func bits(mpi []byte) int {
	if len(mpi) < 2 {
		return 0
	}
	const unit = 64
	return (int(binary.BigEndian.Uint16(mpi)) + unit - 1) / unit * unit
}

// WeakBits is the size from which on an RSA or ElGamal key is not weak (NIST SP
// 800-131A).
const WeakBits = 2048

// Weak reports whether the key is too short to keep a secret.
func (r *Recipient) Weak() bool { return r.Bits > 0 && r.Bits < WeakBits }

func (r *Recipient) String() string {
	if strings.Trim(r.KeyID, "0") == "" {
		return "a hidden key"
	}
	if r.Bits > 0 {
		return fmt.Sprintf("%s (%s, %d bits)", r.KeyID, r.Algorithm, r.Bits)
	}
	return fmt.Sprintf("%s (%s)", r.KeyID, r.Algorithm)
}
