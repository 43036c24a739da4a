// SPDX-License-Identifier: Apache-2.0

// Package config reads what the administrator has written: mandos.conf(5),
// mandos-clients.conf(5), the files of clients.d, and the command line of
// mandos(8).
//
// Reading is one operation without side effects, [Options.Load]: it looks at
// everything, reports every error at once, each with the place where it is and
// what to write instead, and logs nothing itself.
package config

import (
	"net/netip"
	"time"

	"mandos/server/client"
)

// Config is one reading of the whole configuration.
type Config struct {
	Daemon
	// Clients are in the order of the files, clients.conf first.
	Clients []client.Settings
	// ClientsFile is clients.conf with its path, and NoClientsFile says that there
	// is none.
	ClientsFile   string
	NoClientsFile bool
	// Places are where each client's section is, FILE:LINE, by its name.
	Places map[string]string
	// Warnings tell of what is accepted but hardly meant.
	Warnings []Warning
	// Files are those that were read or looked for, with the place to speak of
	// each at: itself, or what names it.
	Files map[string]Place

	origins map[string]Place
}

// Daemon is what the options say, [Options.Load] having merged command line,
// mandos.conf and defaults.
type Daemon struct {
	// Interfaces (interface) are the network interfaces to listen and announce on;
	// none means all.
	Interfaces []string
	// Addresses (address) to listen on; none means all. IPv4 addresses are never in
	// their mapped form, and with UseIPv6 off there are no others. A link-local one
	// has a zone unless there are Interfaces.
	Addresses []netip.Addr
	// Port (port) is the TCP port; 0 lets the kernel choose.
	Port uint16
	// Socket (socket) is the number of an inherited descriptor to listen on;
	// -1 means none.
	Socket int

	// Priority (priority) is a GnuTLS priority string, not looked into here.
	Priority string
	// ServiceName (servicename) is the Zeroconf service name, at most 63 bytes
	// while Zeroconf is on.
	ServiceName string
	// MaxUnproven (max_unproven) is how many connections that have not proved a
	// known key may be open at once; at least 1, 1000 by default.
	MaxUnproven int

	// UplinkCheck (uplink_check) is a command that tells whether the server's own network
	// works; empty for none. While it does not, expiry stands still for UplinkGrace
	// (uplink_grace) at most; 0 by default.
	UplinkCheck string
	UplinkGrace time.Duration

	// ConfigDir, only on the command line, is the directory of mandos.conf,
	// clients.conf and clients.d; /etc/mandos by default.
	ConfigDir string
	// StateDir (statedir) is where state is kept; /var/lib/mandos by default.
	StateDir string

	// UseDBus (use_dbus), on by default.
	UseDBus bool
	// UseIPv6 (use_ipv6), on by default.
	UseIPv6 bool
	// Restore (restore) says to start from the saved state; on by default.
	Restore bool
	// ForgetAll, only on the command line, says to forget what is saved.
	ForgetAll bool
	// Zeroconf (zeroconf) says to announce the service; on by default.
	Zeroconf bool
	// Foreground (foreground) says to stay in the foreground. Debug implies it.
	Foreground bool
	// Debug (debug) turns on debug mode.
	Debug bool
	// LogLevel (debuglevel) names the least level logged, not looked into here;
	// INFO by default.
	LogLevel string

	// Check, only on the command line, says to check the configuration and exit.
	Check bool
	// WritePickle, only on the command line, says to write the state for the Python
	// server and exit.
	WritePickle bool
}

// Origin tells where the value of a mandos.conf key came from, for an error
// about a value that only its user can judge. The zero Place is the built-in
// default.
func (c *Config) Origin(key string) Place { return c.origins[key] }
