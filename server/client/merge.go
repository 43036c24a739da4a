// SPDX-License-Identifier: Apache-2.0

package client

// merge makes one record of what was saved of a client and what the
// configuration says of it now: a setting that differs from what the
// configuration said before is the new configuration's, any other stays as it
// was saved (mandos.conf(5), restore). It tells which settings in force change.
// Whether the client is enabled is no setting of that kind; see newSuccession.
func merge(saved Record, now Settings) (merged Record, changed []Property) {
	merged = saved
	merged.Configured = now
	for i := range AllSettings {
		d := &AllSettings[i]
		if d.Value(&saved.Configured) != d.Value(&now) {
			changed = d.put(&merged.Settings, d.Value(&now), changed)
		}
	}
	merged.moveExpiry(saved.Timeout)
	return merged, changed
}
