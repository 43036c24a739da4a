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
	before, s := &saved.Configured, &merged.Settings
	changed = follow(changed, &s.ApprovalDelay, before.ApprovalDelay, now.ApprovalDelay, PropApprovalDelay)
	changed = follow(changed, &s.ApprovalDuration, before.ApprovalDuration, now.ApprovalDuration, PropApprovalDuration)
	changed = follow(changed, &s.ApprovedByDefault, before.ApprovedByDefault, now.ApprovedByDefault, PropApprovedByDefault)
	changed = follow(changed, &s.Checker, before.Checker, now.Checker, PropChecker)
	changed = follow(changed, &s.ExtendedTimeout, before.ExtendedTimeout, now.ExtendedTimeout, PropExtendedTimeout)
	changed = follow(changed, &s.Fingerprint, before.Fingerprint, now.Fingerprint, PropFingerprint)
	changed = follow(changed, &s.Host, before.Host, now.Host, PropHost)
	changed = follow(changed, &s.Interval, before.Interval, now.Interval, PropInterval)
	changed = follow(changed, &s.KeyID, before.KeyID, now.KeyID, PropKeyID)
	changed = follow(changed, &s.Secret, before.Secret, now.Secret, PropSecret)
	changed = follow(changed, &s.Timeout, before.Timeout, now.Timeout, PropTimeout)
	merged.moveExpiry(saved.Timeout)
	return merged, changed
}

func follow[T comparable](changed []Property, inForce *T, before, now T, name Property) []Property {
	if before == now || *inForce == now {
		return changed
	}
	*inForce = now
	return append(changed, name)
}
