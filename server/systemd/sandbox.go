// SPDX-License-Identifier: Apache-2.0

package systemd

import (
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Sandbox is what a unit lets its processes see of the file system, as far as its
// settings say (systemd.exec(5)).
type Sandbox struct {
	unit  string
	rules []rule // what is hidden comes first
}

// rule is what a setting says of a path and all below it.
type rule struct {
	path   string
	access access
	by     string // the setting
}

type access int

const (
	hidden access = iota
	readable
	writable
)

// unitProperties are those that Sandbox understands.
var unitProperties = []string{
	"LoadState", "ProtectSystem", "ProtectHome", "PrivateTmp", "ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths",
	"BindPaths", "BindReadOnlyPaths", "StateDirectory",
}

// SandboxOf asks the service manager for the sandbox of a unit. It is nil if there
// is no service manager or no such unit.
func SandboxOf(ctx context.Context, unit string) *Sandbox {
	out, err := exec.CommandContext(ctx, "systemctl", "show", "--property="+strings.Join(unitProperties, ","), unit).Output()
	if err != nil {
		return nil
	}
	return parseSandbox(unit, string(out))
}

// parseSandbox reads what systemctl show prints.
func parseSandbox(unit, properties string) *Sandbox {
	values := map[string]string{}
	for line := range strings.Lines(properties) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		values[name] = value
	}
	if values["LoadState"] != "loaded" {
		return nil
	}
	s := &Sandbox{unit: unit}
	s.protectSystem(values["ProtectSystem"])
	s.protectHome(values["ProtectHome"])
	if tmp := values["PrivateTmp"]; tmp != "" && tmp != "no" {
		s.add(hidden, "PrivateTmp="+tmp, "/tmp", "/var/tmp")
	}
	for _, name := range []string{"ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths"} {
		access := map[string]access{"ReadWritePaths": writable, "ReadOnlyPaths": readable}[name]
		for _, path := range strings.Fields(values[name]) {
			s.add(access, name, strings.TrimLeft(path, "-+"))
		}
	}
	for name, access := range map[string]access{"BindPaths": writable, "BindReadOnlyPaths": readable} {
		for _, path := range strings.Fields(values[name]) {
			parts := strings.Split(strings.TrimLeft(path, "-"), ":")
			s.add(access, name, parts[min(1, len(parts)-1)])
		}
	}
	for _, name := range strings.Fields(values["StateDirectory"]) {
		s.add(writable, "StateDirectory", filepath.Join("/var/lib", name))
	}
	slices.SortStableFunc(s.rules, func(a, b rule) int { return cmp.Compare(a.access, b.access) })
	return s
}

func (s *Sandbox) protectSystem(value string) {
	by := "ProtectSystem=" + value
	switch value {
	case "strict":
		s.add(readable, by, "/")
		s.add(writable, by, "/dev", "/proc", "/sys")
	case "full":
		s.add(readable, by, "/usr", "/boot", "/efi", "/etc")
	case "yes":
		s.add(readable, by, "/usr", "/boot", "/efi")
	}
}

func (s *Sandbox) protectHome(value string) {
	by := "ProtectHome=" + value
	switch value {
	case "yes", "tmpfs":
		s.add(hidden, by, "/home", "/root", "/run/user")
	case "read-only":
		s.add(readable, by, "/home", "/root", "/run/user")
	}
}

func (s *Sandbox) add(access access, by string, paths ...string) {
	for _, path := range paths {
		s.rules = append(s.rules, rule{filepath.Clean(path), access, by})
	}
}

// Read says what the unit must have for a file to be read, or "".
func (s *Sandbox) Read(path string) string { return s.need(path, readable) }

// Write says what the unit must have for a directory to be written, or "".
func (s *Sandbox) Write(path string) string { return s.need(path, writable) }

func (s *Sandbox) need(path string, wanted access) string {
	if s == nil {
		return ""
	}
	r := s.ruleFor(path)
	switch {
	case r.access >= wanted:
		return ""
	case r.access == hidden:
		setting, _, _ := strings.Cut(r.by, "=")
		return fmt.Sprintf("the systemd unit %s does not show %s to the server (%s): choose another place, or change %s with \"systemctl edit %s\"",
			s.unit, r.path, r.by, setting, s.unit)
	}
	return fmt.Sprintf("the systemd unit %s does not let the server write there (%s): add ReadWritePaths=%s to it with \"systemctl edit %s\"",
		s.unit, r.by, path, s.unit)
}

// ruleFor is the rule of the nearest directory. What is hidden stays so, whatever
// is said of what is below it, unless something is mounted there.
func (s *Sandbox) ruleFor(path string) rule {
	path = filepath.Clean(path)
	best := rule{path: "/", access: writable}
	for _, r := range s.rules {
		if path != r.path && !strings.HasPrefix(path, strings.TrimSuffix(r.path, "/")+"/") {
			continue
		}
		mounted := slices.Contains([]string{"BindPaths", "BindReadOnlyPaths", "StateDirectory"}, r.by)
		if best.access == hidden && best.by != "" && !mounted && r.access != hidden {
			continue
		}
		if len(r.path) >= len(best.path) {
			best = r
		}
	}
	return best
}
