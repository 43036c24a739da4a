// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/pflag"
)

// files writes a configuration directory, private to its owner.
func files(t testing.TB, contents map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range contents {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// flags are those of the server, with the two that it has besides from whoever
// parses them.
func flags() (*pflag.FlagSet, *Options) {
	fs := pflag.NewFlagSet("mandos", pflag.ContinueOnError)
	options := AddFlags(fs)
	fs.BoolP("help", "h", false, "help")
	fs.BoolP("version", "v", false, "version")
	return fs, options
}

// run is what the server does with its arguments.
func run(args ...string) (*Config, error) {
	fs, options := flags()
	arranged, err := Arrange(fs, args)
	if err != nil {
		return nil, err
	}
	if err := fs.Parse(arranged); err != nil {
		return nil, FlagError(err)
	}
	if err := NoArguments(fs.Args()); err != nil {
		return nil, err
	}
	conf, err := options.Load()
	if err == nil {
		err = conf.CheckFindable(false)
	}
	return conf, err
}

func defaultDaemon(dir string) Daemon {
	return Daemon{
		Socket:      -1,
		Priority:    "SECURE128:!CTYPE-X.509:+CTYPE-RAWPK:!RSA:!VERS-ALL:+VERS-TLS1.3:%PROFILE_ULTRA",
		ServiceName: "Mandos",
		MaxUnproven: 1000,
		ConfigDir:   dir,
		StateDir:    "/var/lib/mandos",
		UseDBus:     true, UseIPv6: true, Restore: true, Zeroconf: true,
		LogLevel: "INFO",
	}
}

func addresses(texts ...string) (all []netip.Addr) {
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}

func TestOptions(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		conf string
		want func(*Daemon)
	}{
		"without options there are the defaults": {
			want: func(*Daemon) {},
		},
		"the command line sets everything": {
			args: []string{
				"-i", "eth0", "-a", "192.0.2.1", "-p", "4711", "--socket=3", "--priority", "NORMAL:+CTYPE-RAWPK",
				"--servicename", "Other", "--max-unproven", "7", "--uplink-check", "ping %(x)s", "--uplink-grace", "30m", "--statedir", "/state", "--no-dbus", "--no-ipv6",
				"--no-restore", "--no-zeroconf", "--foreground", "--debuglevel", "info", "--check",
			},
			want: func(d *Daemon) {
				*d = Daemon{
					Interfaces: []string{"eth0"}, Addresses: addresses("192.0.2.1"), Port: 4711, Socket: 3,
					Priority: "NORMAL:+CTYPE-RAWPK", ServiceName: "Other", MaxUnproven: 7, UplinkCheck: "ping %(x)s", UplinkGrace: 30 * time.Minute,
					ConfigDir: d.ConfigDir, StateDir: "/state", Foreground: true, LogLevel: "info", Check: true,
				}
			},
		},
		"the file sets everything": {
			conf: "interface = eth0\naddress = 192.0.2.1\nport = 4711\nsocket = 3\npriority = NORMAL:+CTYPE-RAWPK\n" +
				"servicename = Other\nmax_unproven = 7\nuplink_check = ping %(x)s\nuplink_grace = PT30M\nstatedir = /state\nuse_dbus = no\nuse_ipv6 = FALSE\n" +
				"restore = 0\nzeroconf = Off\nforeground = yes\ndebuglevel = critical\n",
			want: func(d *Daemon) {
				*d = Daemon{
					Interfaces: []string{"eth0"}, Addresses: addresses("192.0.2.1"), Port: 4711, Socket: 3,
					Priority: "NORMAL:+CTYPE-RAWPK", ServiceName: "Other", MaxUnproven: 7, UplinkCheck: "ping %(x)s", UplinkGrace: 30 * time.Minute,
					ConfigDir: d.ConfigDir, StateDir: "/state", Foreground: true, LogLevel: "critical",
				}
			},
		},
		"the command line wins over the file": {
			args: []string{"--port", "2", "--no-dbus=false", "--debuglevel", "ERROR"},
			conf: "port = 1\nuse_dbus = no\ndebuglevel = debug\nservicename = Other\n",
			want: func(d *Daemon) { d.Port, d.LogLevel, d.ServiceName = 2, "ERROR", "Other" },
		},
		"debug stays in the foreground": {
			args: []string{"--debug"},
			want: func(d *Daemon) { d.Debug, d.Foreground = true, true },
		},
		"an empty value is the default": {
			args: []string{"--priority="},
			conf: "interface =\naddress =\nport =\nsocket =\nservicename =\nstatedir =\ndebuglevel =\nmax_unproven =\n",
			want: func(*Daemon) {},
		},
		"texts are literal and the rest is expanded": {
			conf: "priority = NORMAL:%PROFILE_ULTRA\nservicename = 100%% %(port)s\nport = %(number)s\nnumber = 4711\nrestore = %(word)s\nword = no\nunused = 5%\n",
			want: func(d *Daemon) {
				d.Priority, d.ServiceName, d.Port, d.Restore = "NORMAL:%PROFILE_ULTRA", "100%% %(port)s", 4711, false
			},
		},
		"long options may be abbreviated": {
			args: []string{"--foregr", "--serv", "Other", "--stat=/state", "--no-d", "--max", "7"},
			want: func(d *Daemon) {
				d.Foreground, d.ServiceName, d.StateDir, d.UseDBus, d.MaxUnproven = true, "Other", "/state", false, 7
			},
		},
		"an option that starts another is none's abbreviation": {
			args: []string{"--debug"},
			want: func(d *Daemon) { d.Debug, d.Foreground = true, true },
		},
		"an IPv4 address is one also while IPv6 is on": {
			args: []string{"--address", "192.0.2.1"},
			want: func(d *Daemon) { d.Addresses = addresses("192.0.2.1") },
		},
		"a mapped address is an IPv4 one": {
			args: []string{"--address", "::ffff:192.0.2.1", "--no-ipv6"},
			want: func(d *Daemon) { d.Addresses, d.UseIPv6 = addresses("192.0.2.1"), false },
		},
		"a link-local address may be on each of the interfaces": {
			args: []string{"--address", "fe80::1", "-ieth0,eth1"},
			want: func(d *Daemon) { d.Addresses, d.Interfaces = addresses("fe80::1"), []string{"eth0", "eth1"} },
		},
		"a link-local address may bring its interface": {
			args: []string{"--address", "fe80::1%eth1"},
			want: func(d *Daemon) { d.Addresses = addresses("fe80::1%eth1") },
		},
		"interfaces and addresses are lists": {
			conf: "interface = eth0, br0,wg0 vlan7\naddress = 192.0.2.1,\n  2001:db8::1\n\tfe80::1%br0\n",
			want: func(d *Daemon) {
				d.Interfaces, d.Addresses = []string{"eth0", "br0", "wg0", "vlan7"}, addresses("192.0.2.1", "2001:db8::1", "fe80::1%br0")
			},
		},
		"port 0 is no port": {
			args: []string{"-p0"},
			want: func(*Daemon) {},
		},
		"standard input may be the socket": {
			args: []string{"--socket", "0", "--no-zeroconf"},
			want: func(d *Daemon) { d.Socket, d.Zeroconf = 0, false },
		},
		"a long service name does not matter without Zeroconf": {
			args: []string{"--no-zeroconf", "-p1", "--servicename", strings.Repeat("x", 64)},
			want: func(d *Daemon) { d.Zeroconf, d.Port, d.ServiceName = false, 1, strings.Repeat("x", 64) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := files(t, map[string]string{"mandos.conf": "[DEFAULT]\n" + test.conf})
			want := defaultDaemon(dir)
			test.want(&want)
			got, err := run(append(test.args, "--configdir", dir)...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got.Daemon, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWithoutFilesThereAreNoClients(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "missing")
	got, err := run("--configdir", dir)
	if err != nil || !reflect.DeepEqual(got.Daemon, defaultDaemon(dir)) || got.Clients != nil || got.Warnings != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestUsageErrors(t *testing.T) {
	dir := files(t, map[string]string{"mandos.conf": "[DEFAULT]\nzeroconf = no\n"})
	for want, args := range map[string][]string{
		"unrecognized arguments: foo bar": {"foo", "--debug", "bar"},
		"unrecognized arguments: --bogus": {"--bogus"},
		"unrecognized arguments: -x":      {"-x"},
		"ambiguous option: --no could match --no-dbus, --no-ipv6, --no-restore, --no-zeroconf":                {"--no"},
		"ambiguous option: --deb=1 could match --debug, --debuglevel":                                         {"--deb=1"},
		"argument -i/--interface: expected one argument":                                                      {"--interface", "--foreground"},
		"argument --statedir: expected one argument":                                                          {"--stated", "-p1"},
		"argument -a/--address: expected one argument":                                                        {"-a", "--", "::1"},
		"argument --servicename: expected one argument":                                                       {"--servicename", "--bogus"},
		`argument -h/--help: ignored explicit argument "yes"`:                                                 {"--help=yes"},
		`argument -v/--version: ignored explicit argument "x"`:                                                {"-vx"},
		"unrecognized arguments: -- -h":                                                                       {"--", "-h"},
		"unrecognized arguments: --bogus=1 x - -5":                                                            {"--bogus=1", "--port", "3", "x", "-", "-5"},
		`argument -p/--port: "x" is not a whole number from 0 to 65535`:                                       {"--bogus", "-px", "-h"},
		`argument --check: "maybe" is not a boolean; write yes, true, on or 1, or else no, false, off or 0`:   {"--check=maybe"},
		"argument -p/--port: expected one argument":                                                           {"--port"},
		`argument -p/--port: "abc" is not a whole number from 0 to 65535`:                                     {"--port", "abc"},
		`argument -p/--port: "70000" is not a whole number from 0 to 65535`:                                   {"-p70000"},
		`argument --socket: "-2" is not a whole number from 0 to 1048576`:                                     {"--socket=-2"},
		`argument --max-unproven: "0" is not a whole number from 1 to 1000000`:                                {"--max-unproven=0"},
		`argument --no-dbus: "maybe" is not a boolean; write yes, true, on or 1, or else no, false, off or 0`: {"--no-dbus=maybe"},
		`argument -a/--address: "localhost" is not a numeric address, nor a list of them; write for example 192.0.2.1, 2001:db8::1, ::1 or fe80::1%eth0 (names are not looked up)`: {"--address", "localhost"},
		"needs --port or --socket to work without Zeroconf": {"--configdir", dir},
	} {
		_, err := run(args...)
		var usage UsageError
		if !errors.As(err, &usage) || usage.Problem != want {
			t.Errorf("%q: %v, want usage error %s", args, err, want)
		}
	}
}

func TestHelp(t *testing.T) {
	fs, _ := flags()
	for _, want := range []string{"  -p, --port PORT  ", "      --no-dbus   ", "(default Mandos)"} {
		if help := strings.ReplaceAll(fs.FlagUsages(), `"`, ""); !strings.Contains(help, want) {
			t.Errorf("the help lacks %q:\n%s", want, help)
		}
	}
}

func TestErrorsInMandosConf(t *testing.T) {
	for name, test := range map[string]struct {
		conf string
		args []string
		want []string
	}{
		"all errors are told at once, each in its place": {
			conf: "[DEFAULT]\nport = abc\nuse_dbus =\n# a comment\naddress: localhost\nDebugLevel = DEBUG\nsocket = %(none)s\nmax_unproven = 0\nrestore = 50%\n",
			want: []string{
				`mandos.conf:2: [DEFAULT] port: "abc" is not a whole number from 0 to 65535`,
				`mandos.conf:3: [DEFAULT] use_dbus: "" is not a boolean; write yes, true, on or 1, or else no, false, off or 0`,
				`mandos.conf:5: [DEFAULT] address: "localhost" is not a numeric address, nor a list of them; write for example 192.0.2.1, 2001:db8::1, ::1 or fe80::1%eth0 (names are not looked up)`,
				`mandos.conf:7: [DEFAULT] socket: "%(none)s" refers to a setting that is neither here nor in [DEFAULT]; add it, or double the percent sign if it is for the time when the checker is run`,
				`mandos.conf:8: [DEFAULT] max_unproven: "0" is not a whole number from 1 to 1000000`,
				`mandos.conf:9: [DEFAULT] restore: a percent sign must be doubled (%%) or start %(name)s`,
			},
		},
		"what the command line overrides must be right as well": {
			conf: "[DEFAULT]\nport = 70000\n",
			args: []string{"--port=1"},
			want: []string{`mandos.conf:2: [DEFAULT] port: "70000" is not a whole number from 0 to 65535`},
		},
		"an address of the wrong family is told where it was given": {
			conf: "[DEFAULT]\nuse_ipv6 = no\n",
			args: []string{"--address=::1"},
			want: []string{`--address: ::1 is an IPv6 address, and IPv6 is turned off; write an IPv4 address or turn IPv6 on`},
		},
		"a link-local address needs an interface": {
			conf: "[DEFAULT]\naddress = fe80::1\n",
			want: []string{`mandos.conf:2: [DEFAULT] address: a link-local address needs its interface; write for example fe80::1%eth0 or set interface`},
		},
		"an address is on one of the interfaces": {
			conf: "[DEFAULT]\naddress = fe80::1%eth7\ninterface = eth0, eth1\n",
			want: []string{`mandos.conf:2: [DEFAULT] address: fe80::1%eth7 is on an interface that is not among those to listen on; add eth7 to interface`},
		},
		"a grace needs a check": {
			conf: "[DEFAULT]\nuplink_grace = PT30M\n",
			want: []string{`mandos.conf:2: [DEFAULT] uplink_grace: nothing is lent without uplink_check; write for example uplink_check = fping -q -- 192.0.2.1`},
		},
		"a grace is a time": {
			conf: "[DEFAULT]\nuplink_check = true\nuplink_grace = long\n",
			want: []string{`mandos.conf:3: [DEFAULT] uplink_grace: "long" is not a duration; write for example PT5M (five minutes), PT1H30M, P3D or P2W`},
		},
		"a service name must fit": {
			conf: "[DEFAULT]\nservicename = " + strings.Repeat("x", 64),
			want: []string{`mandos.conf:2: [DEFAULT] servicename: the name has 64 bytes, and a Zeroconf service name at most 63; write a shorter one`},
		},
		"a file of something else is told of once": {
			conf: "port = 1\naddress = ::1\nfoo\n",
			want: []string{`mandos.conf:1: this line stands above the first section; write a line with its [NAME] before it`},
		},
		"a run of lines that cannot be understood is told of once": {
			conf: "[DEFAULT]\none\ntwo\nport = 1\nthree\n = x\n",
			want: []string{
				`mandos.conf:2: this line is neither [section] nor key = value; if it continues the value above, indent it`,
				`mandos.conf:5: this line is neither [section] nor key = value; if it continues the value above, indent it`,
			},
		},
		"a delimiter needs a key": {
			conf: "[DEFAULT]\n: x\n",
			want: []string{`mandos.conf:2: there is no key before the ":"; write key = value`},
		},
		"a key may be there once, in any case of letters and under any header": {
			conf: "[DEFAULT]\nport = 1\nPORT = 2\n[other]\n[DEFAULT]\n\nPort = 3\n",
			want: []string{
				`mandos.conf:3: [DEFAULT] port: this key is in line 2 of the section already; remove one of the two`,
				`mandos.conf:7: [DEFAULT] port: this key is in line 2 of the section already; remove one of the two`,
			},
		},
		"a byte order mark is refused": {
			conf: "\ufeff[DEFAULT]\n",
			want: []string{`mandos.conf:1: the file starts with a byte order mark; save it as UTF-8 without one`},
		},
		"text must be UTF-8": {
			conf: "[DEFAULT]\nservicename = caf\xe9\n",
			want: []string{`mandos.conf:2: this line is not valid UTF-8; save the file as UTF-8`},
		},
		"text must have no NUL": {
			conf: "[DEFAULT]\n\nservicename = \x00\n",
			want: []string{`mandos.conf:3: there is a NUL character in this line; remove it`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			checkErrors(t, map[string]string{"mandos.conf": test.conf}, test.args, test.want)
		})
	}
}

// checkErrors wants the errors, with paths below the configuration directory.
func checkErrors(t *testing.T, contents map[string]string, args, want []string) {
	t.Helper()
	dir := files(t, contents)
	_, err := run(append(args, "--configdir", dir)...)
	var got Errors
	if !errors.As(err, &got) {
		t.Fatalf("%v, want %q", err, want)
	}
	if diff := cmp.Diff(want, strings.Split(strings.ReplaceAll(got.Error(), dir+"/", ""), "\n")); diff != "" {
		t.Error(diff)
	}
}

func TestOriginOfValues(t *testing.T) {
	dir := files(t, map[string]string{"mandos.conf": "[DEFAULT]\n\npriority = BOGUS\nport = 1\n"})
	conf, err := run("--configdir", dir, "-p2")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"priority":    dir + "/mandos.conf:3: [DEFAULT] priority",
		"port":        "--port",
		"servicename": "",
	} {
		if got := conf.Origin(key).String(); got != want {
			t.Errorf("%s is from %q, want %q", key, got, want)
		}
	}
	if got := (Error{conf.Origin("servicename"), "it is bad"}).Error(); got != "it is bad" {
		t.Errorf("an error about a default is %q", got)
	}
}

func TestWarningsAboutMandosConf(t *testing.T) {
	dir := files(t, map[string]string{"mandos.conf": "[DEFAULT]\nprot = 1\nuse-dbus = no\nserver = %(x)s\nports = 4711\nport = %(ports)s\nunrelated = x\n[server]\nport = 1\n"})
	conf, err := run("--configdir", dir)
	if err != nil {
		t.Fatal(err)
	}
	checkWarnings(t, dir, conf, []string{
		`mandos.conf:2: [DEFAULT]: the key "prot" is unknown and ignored; was "port" meant?`,
		`mandos.conf:3: [DEFAULT]: the key "use-dbus" is unknown and ignored; was "use_dbus" meant?`,
		`mandos.conf:8: [server]: only the section [DEFAULT] counts in this file; what stands here is ignored`,
	})
}

func checkWarnings(t *testing.T, dir string, conf *Config, want []string) {
	t.Helper()
	var got []string
	for _, w := range conf.Warnings {
		got = append(got, strings.ReplaceAll(w.String(), dir+"/", ""))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEveryOptionIsWellDescribed(t *testing.T) {
	for i := range options {
		o := &options[i]
		if err := o.store(new(Daemon), o.byDefault); err != nil {
			t.Errorf("--%s: its default %v", o.flag, err)
		}
		if o.help == "" || strings.HasSuffix(o.help, ".") || (o.arg != "") != strings.Contains(o.help, "`"+o.arg+"`") {
			t.Errorf("--%s: bad help %q", o.flag, o.help)
		}
		if o.isSwitch() && !slices.Contains([]string{"True", "False"}, o.byDefault) {
			t.Errorf("--%s: a switch is by default True or False", o.flag)
		}
	}
}
