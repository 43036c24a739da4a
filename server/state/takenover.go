// SPDX-License-Identifier: Apache-2.0

package state

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
)

// noteSuffix is what the name of the note has after that of the file that was taken
// over. The note has the sum of that file.
const noteSuffix = ".taken-over"

// noteTakenOver notes that what the Python server left has been taken over, or is
// older than the state that there is: without the state it must not count again, as
// it does not know who was disabled since.
func noteTakenOver(upstream string) error {
	content, err := os.ReadFile(upstream)
	if err != nil { // and so could not be taken over either
		return nil
	}
	if err := os.WriteFile(upstream+noteSuffix, []byte(sumOfFile(content)+"\n"), 0o600); err != nil {
		return fmt.Errorf("cannot note that %s has been taken over: %w", upstream, err)
	}
	return nil
}

// noted reports whether there is a note.
func noted(upstream string) bool {
	_, err := os.Lstat(upstream + noteSuffix)
	return err == nil
}

// wasTakenOver reports whether that is the file of which there is a note. Any other
// one the Python server has written since.
func wasTakenOver(upstream string) bool {
	note, err := os.ReadFile(upstream + noteSuffix)
	if err != nil {
		return false
	}
	content, err := os.ReadFile(upstream)
	return err == nil && strings.TrimSpace(string(note)) == sumOfFile(content)
}

func sumOfFile(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// lostSince says that the state is gone, and that what it was begun with is no
// replacement.
func lostSince(path, upstream string) error {
	return &unusableError{path, fmt.Errorf("it is missing, and what happened since %s was taken over is lost with it, such as who was disabled "+
		"(if that is to count as it is, remove %s%s)", upstream, upstream, noteSuffix)}
}
