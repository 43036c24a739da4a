// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"mandos/server/client"
)

func TestWhichMessagesAreDecrypted(t *testing.T) {
	good := []byte{0x8c, 0x0d, 4, 9, 3, 8}
	change := func(at int, to byte) []byte {
		message := slices.Clone(good)
		message[at] = to
		return message
	}
	for sentence, c := range map[string]struct {
		message []byte
		want    bool
	}{
		"one of gpg's":                         {good, true},
		"one of this package's":                {change(0, 0xc3), true},
		"nothing":                              {nil, false},
		"less than the beginning":              {good[:5], false},
		"another packet":                       {change(0, 0x8d), false},
		"a passphrase packet of any length":    {change(1, 191), true},
		"a length of more than an octet":       {change(1, 192), false},
		"another version":                      {change(2, 5), false},
		"any cipher":                           {change(3, 7), true},
		"a passphrase that is salted only":     {change(4, 1), false},
		"a passphrase for memory, as Argon2's": {change(4, 4), false},
	} {
		if got := isExpected(c.message); got != c.want {
			t.Errorf("%s: %v", sentence, got)
		}
		if _, err := decrypt(c.message, client.Secret{}); !c.want && (err == nil || err.Error() != "it is not encrypted with a passphrase in the usual way") {
			t.Errorf("%s: %v", sentence, err)
		}
	}
}

func TestWhichMessagesTakeLong(t *testing.T) {
	at := func(iterations byte) []byte { return append(make([]byte, 14), iterations) }
	for sentence, c := range map[string]struct {
		message []byte
		want    bool
	}{
		"one of as many iterations as ours": {at(0xa0), false},
		"one of more":                       {at(0xa1), true},
		"one that is cut off before":        {bytes.Repeat([]byte{0xff}, 14), false},
	} {
		if got := isCostly(c.message); got != c.want {
			t.Errorf("%s: %v", sentence, got)
		}
	}
}

func TestMessagesAreDecryptedUpToTheLongestSecret(t *testing.T) {
	key := secret("key")
	longest := client.NewSecret(bytes.Repeat([]byte("x"), client.MaxSecret))
	longer := client.NewSecret(bytes.Repeat([]byte("x"), client.MaxSecret+1))
	message, err := encrypt(longest, key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decrypt(message, key); err != nil || got != longest {
		t.Errorf("the longest is %v, error %v", got, err)
	}
	if got, err := decrypt(message, secret("another")); err == nil || got != (client.Secret{}) {
		t.Errorf("under another key it is %v, error %v", got, err)
	}
	if got, err := decrypt(message[:len(message)-50], key); err == nil || got != (client.Secret{}) {
		t.Errorf("cut off it is %v, error %v", got, err)
	}
	if message, err = encrypt(longer, key); err != nil {
		t.Fatal(err)
	}
	if got, err := decrypt(message, key); err == nil || err.Error() != "it is larger than 1 MiB" || got != (client.Secret{}) {
		t.Errorf("a longer one is %v, error %v", got, err)
	}
}

// TestOnlyWhatIsStillSavedIsSealedAgain has secrets that others have changed since they
// were read.
func TestOnlyWhatIsStillSavedIsSealedAgain(t *testing.T) {
	s := open(t, t.TempDir())
	a, b := full("a"), full("b")
	save(t, s, a, b)
	sealed := s.sealed["a"]
	before := recordsOf(t, s, a.Configured, b.Configured)
	file := readFile(t, s.path)
	unchanged := func(sentence string) {
		t.Helper()
		if err := s.sealAgain([]string{"a", "b", "nobody"}); err != nil {
			t.Errorf("%s: %v", sentence, err)
		}
		after := recordsOf(t, s, a.Configured, b.Configured)
		if after["a"].Settings.Secret.Settled() != before["a"].Settings.Secret.Settled() || len(after) != len(before) {
			t.Errorf("%s: its secret is %v", sentence, after["a"].Settings.Secret)
		}
		if !bytes.Equal(file, readFile(t, s.path)) {
			t.Errorf("%s: the file was written to", sentence)
		}
	}
	unchanged("what is as it was")
	s.sealed["a"] = sealedSecret{secret("older"), sealed.key, bytes.Repeat([]byte{0xff}, 15)} // which takes long, and would be replaced
	unchanged("what somebody has saved since")
	delete(s.sealed, "a")
	unchanged("what nobody has decrypted")
	s.sealed["nobody"] = sealed
	unchanged("what is not saved any more")
}

func TestARecordThatIsDamagedIsNotSealedAgain(t *testing.T) {
	for _, content := range []string{"utter nonsense", "its sum."} {
		s := open(t, t.TempDir())
		save(t, s, full("a"))
		spoil(t, s, "a", content)
		if err := s.sealAgain([]string{"a"}); err == nil || !strings.HasPrefix(err.Error(), "client a: ") {
			t.Errorf("%q: it is answered %v", content, err)
		}
	}
}
