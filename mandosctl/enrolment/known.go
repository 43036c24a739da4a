// SPDX-License-Identifier: Apache-2.0

package enrolment

import (
	"fmt"
	"slices"
	"time"

	"mandos/dbusapi"
	"mandos/mandosctl/clientinfo"
)

// IsNew refuses a client whose name or key the server has already.
func IsNew(s *dbusapi.Section, clients []dbusapi.Client, now time.Time) error {
	i := slices.IndexFunc(clients, func(c dbusapi.Client) bool {
		return c.Name == s.Name || s.KeyID != "" && c.KeyID == s.KeyID ||
			s.Fingerprint != "" && c.Fingerprint == s.Fingerprint
	})
	if i < 0 {
		return nil
	}
	c, disabled := &clients[i], ""
	if !c.Enabled {
		disabled = fmt.Sprintf("; that client is disabled (%s), and \"mandosctl enable %s\" makes it valid again", clientinfo.ReasonInFull(c, now), c.Name)
	}
	if c.Name == s.Name {
		return fmt.Errorf("the server has a client %q already; change its section in the configuration, or take that out first%s", s.Name, disabled)
	}
	return fmt.Errorf("the key of %s is that of client %q already; each host must have its own%s", s.Name, c.Name, disabled)
}

// IsAllowed refuses a client that was there before, under whatever name, and is not to
// have its secret.
func IsAllowed(s *dbusapi.Section, gone []dbusapi.Gone, now time.Time) error {
	i := slices.IndexFunc(gone, func(g dbusapi.Gone) bool {
		// A section with another key than that of a removed client is another host's.
		another := g.Because == dbusapi.RemovedByAdministrator && s.KeyID != g.KeyID
		same := s.KeyID != "" && g.KeyID == s.KeyID || s.Fingerprint != "" && g.Fingerprint == s.Fingerprint
		return g.Because != "" && (g.Name == s.Name && !another || same)
	})
	if i < 0 {
		return nil
	}
	g := &gone[i]
	why := clientinfo.WhyGone(g, now)
	switch {
	case g.GoneSince.IsZero():
		return fmt.Errorf("%s was %s, and its section is still in the configuration; \"mandosctl enable %s\" brings it back", g.Name, why, g.Name)
	case g.Name != s.Name:
		why = fmt.Sprintf("was the client %s, which was %s", g.Name, why)
	default:
		why = "was " + why
	}
	return fmt.Errorf("%s %s, so that it would get nothing; if it may have its secret again, \"mandosctl forget %s\" before, or put the section into the configuration by hand, reload, and \"mandosctl enable %s\"", s.Name, why, g.Name, s.Name)
}
