// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestHeaderAloneClaimsNoMemory(t *testing.T) {
	for _, sent := range []int{0, 1, 3000} {
		wire := io.MultiReader(strings.NewReader("\x16\x03\x03\x40\x00"+strings.Repeat("x", sent)), blocked{})
		r := receiver{reader: bufio.NewReaderSize(wire, readAhead)}
		if err := r.fill(recordHeaderLength + maxPlaintext); !errors.Is(err, errBlocked) {
			t.Fatal(err)
		}
		if limit := 2*sent + 3*readAhead; cap(r.record) > limit {
			t.Errorf("%d bytes of a record of %d hold %d", sent, maxPlaintext, cap(r.record))
		}
	}
}

// blocked stands for a peer that sends no more.
type blocked struct{}

var errBlocked = errors.New("nothing comes")

func (blocked) Read([]byte) (int, error) { return 0, errBlocked }

func TestNoncesDifferAndCountFromZero(t *testing.T) {
	keys := trafficKeys{iv: [12]byte{11: 0xff}}
	for _, want := range []string{"\xff", "\xfe", "\xfd"} {
		nonce := keys.nextNonce()
		if got := string(nonce[11:]); got != want || strings.Trim(string(nonce[:11]), "\x00") != "" {
			t.Errorf("nonce %x", nonce)
		}
	}
	keys.sequence = 1 << 40
	if nonce := keys.nextNonce(); nonce[6] != 1 || nonce[11] != 0xff {
		t.Errorf("nonce %x", nonce)
	}
}
