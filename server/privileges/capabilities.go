// SPDX-License-Identifier: Apache-2.0

package privileges

import (
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// capabilitySets are those of one thread (capabilities(7)).
type capabilitySets struct{ effective, permitted, inheritable uint64 }

func capabilities() (capabilitySets, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return capabilitySets{}, err
	}
	return capabilitySets{
		effective:   uint64(data[1].Effective)<<32 | uint64(data[0].Effective),
		permitted:   uint64(data[1].Permitted)<<32 | uint64(data[0].Permitted),
		inheritable: uint64(data[1].Inheritable)<<32 | uint64(data[0].Inheritable),
	}, nil
}

// set gives the calling thread those sets.
func (c capabilitySets) set() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{
		{Effective: uint32(c.effective), Permitted: uint32(c.permitted), Inheritable: uint32(c.inheritable)},
		{Effective: uint32(c.effective >> 32), Permitted: uint32(c.permitted >> 32), Inheritable: uint32(c.inheritable >> 32)},
	}
	return unix.Capset(&header, &data[0])
}

// clearCapabilities empties the sets of all threads; the ambient set follows. In
// a program with cgo it cannot. That does no harm when root was given up, which
// empties the sets too, and verify sees when it does.
func clearCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none[0])), 0)
	if errno != 0 && !errors.Is(errno, syscall.ENOTSUP) {
		return errno
	}
	return nil
}
