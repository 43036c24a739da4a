// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"mandos/server/client"
	"mandos/server/keytls/priority"
)

// unserved says which of the clients have a kind of key that is never offered.
func unserved(offer *priority.Priority, clients []client.Settings) (warnings []string) {
	withKeyID, withFingerprint := 0, 0
	for i := range clients {
		switch {
		case clients[i].KeyID != "":
			withKeyID++
		case clients[i].Fingerprint != "":
			withFingerprint++
		}
	}
	if withKeyID > 0 && !offer.OffersRawKeys() {
		warnings = append(warnings, fmt.Sprintf("%d clients with a key_id cannot be served: priority leaves no raw public keys; add +CTYPE-RAWPK and what they need", withKeyID))
	}
	if withFingerprint > 0 && !offer.OffersOpenPGP() {
		warnings = append(warnings, fmt.Sprintf("%d clients with only a fingerprint cannot be served: priority leaves no OpenPGP certificates; add +CTYPE-OPENPGP and what they need", withFingerprint))
	}
	return warnings
}
