// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// ticksPerSecond is USER_HZ, in which the kernel tells CPU times (proc(5)).
const ticksPerSecond = 100

// cpuTime is what the server has used, in user and kernel mode.
func (s *server) cpuTime() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	var user, system int64
	fmt.Sscan(fields[11], &user)
	fmt.Sscan(fields[12], &system)
	return time.Duration(user+system) * time.Second / ticksPerSecond
}

// resident is the server's resident memory in bytes.
func (s *server) resident() int64 { return s.status("VmRSS:") * 1024 }

func (s *server) threads() int64 { return s.status("Threads:") }

func (s *server) status(key string) (value int64) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), key)
	fmt.Sscan(rest, &value)
	return value
}
