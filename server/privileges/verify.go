// SPDX-License-Identifier: Apache-2.0

package privileges

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// verify looks at every thread from outside, and tries to become root again.
func verify(want User) error {
	if syscall.Setuid(0) == nil || syscall.Setgid(0) == nil {
		return errors.New("root could be regained after it was given up")
	}
	var err error
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		// A thread that is about to end shows the old state for a moment.
		if err = verifyThreads(want); err == nil {
			return nil
		}
	}
	return err
}

func verifyThreads(want User) error {
	threads, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(threads) == 0 {
		return errors.New("cannot see whether privileges were given up: is /proc mounted?")
	}
	for _, thread := range threads {
		status, err := os.ReadFile(thread)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has ended
		}
		if err != nil {
			return fmt.Errorf("cannot see whether privileges were given up: %w", err)
		}
		if err := verifyStatus(string(status), want); err != nil {
			return fmt.Errorf("privileges were not given up: %w", err)
		}
	}
	return nil
}

// verifyStatus checks what proc_pid_status(5) describes.
func verifyStatus(status string, want User) error {
	expected := map[string]string{
		"Uid":    fmt.Sprintf("%[1]d %[1]d %[1]d %[1]d", want.UID),
		"Gid":    fmt.Sprintf("%[1]d %[1]d %[1]d %[1]d", want.GID),
		"CapInh": strings.Repeat("0", 16),
		"CapPrm": strings.Repeat("0", 16),
		"CapEff": strings.Repeat("0", 16),
		"CapAmb": strings.Repeat("0", 16),
	}
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.Join(strings.Fields(value), " ")
		if wanted, ok := expected[key]; ok && value != wanted {
			return fmt.Errorf("%s is %s", key, value)
		}
		delete(expected, key)
	}
	if len(expected) > 0 {
		return errors.New("the kernel does not tell")
	}
	return nil
}
