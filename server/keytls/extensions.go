// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"maps"
	"slices"

	"golang.org/x/crypto/cryptobyte"
)

// extensionType is an ExtensionType (RFC 8446, section 4.2; RFC 7250, section 3).
type extensionType uint16

const (
	extensionCertificateType       extensionType = 9 // RFC 6091, section 3.1
	extensionSupportedGroups       extensionType = 10
	extensionPointFormats          extensionType = 11 // RFC 8422, section 5.1.2
	extensionSignatureAlgorithms   extensionType = 13
	extensionServerCertificateType extensionType = 20
	extensionExtendedMasterSecret  extensionType = 23 // RFC 7627, section 5.1
	extensionSupportedVersions     extensionType = 43
	extensionCookie                extensionType = 44
	extensionKeyShare              extensionType = 51
	extensionRenegotiationInfo     extensionType = 0xff01 // RFC 5746, section 3.2
)

// recognizedExtensions are those that our first ClientHello may have.
var recognizedExtensions = []extensionType{
	extensionCertificateType,
	extensionSupportedGroups,
	extensionPointFormats,
	extensionSignatureAlgorithms,
	extensionServerCertificateType,
	extensionExtendedMasterSecret,
	extensionSupportedVersions,
	extensionKeyShare,
	extensionRenegotiationInfo,
}

// extensions are the extensions of one message.
type extensions map[extensionType]cryptobyte.String

// readExtensions reads an extension block with its length. "There MUST NOT be more
// than one extension of the same type in a given extension block." (section 4.2)
func readExtensions(in *cryptobyte.String, message string) (extensions, error) {
	var block cryptobyte.String
	if !in.ReadUint16LengthPrefixed(&block) {
		return nil, errDecode(message)
	}
	found := make(extensions)
	for !block.Empty() {
		var typ uint16
		var data cryptobyte.String
		if !block.ReadUint16(&typ) || !block.ReadUint16LengthPrefixed(&data) {
			return nil, errDecode(message)
		}
		if _, repeated := found[extensionType(typ)]; repeated {
			return nil, fatal(AlertIllegalParameter, "peer repeated extension %d in its %s", typ, message)
		}
		found[extensionType(typ)] = data
	}
	return found, nil
}

// only refuses extensions that the message may not have: those we recognize with
// illegal_parameter, those we never ask for with unsupported_extension (section 4.2).
func (e extensions) only(message string, allowed ...extensionType) error {
	for _, typ := range slices.Sorted(maps.Keys(e)) {
		switch {
		case slices.Contains(allowed, typ):
		case slices.Contains(recognizedExtensions, typ):
			return fatal(AlertIllegalParameter, "peer sent extension %d, which has no place in a %s", typ, message)
		default:
			return fatal(AlertUnsupportedExtension, "peer sent extension %d in its %s, which we did not offer", typ, message)
		}
	}
	return nil
}

// errDecode is for a message that cannot be taken apart.
func errDecode(message string) error {
	return fatal(AlertDecodeError, "peer sent a malformed %s", message)
}
