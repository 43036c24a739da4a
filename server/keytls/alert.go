// SPDX-License-Identifier: Apache-2.0

package keytls

import (
	"errors"
	"fmt"
)

// Alert is the description in an alert message (RFC 8446, section 6).
type Alert uint8

// The alerts of RFC 8446, section 6.
const (
	AlertCloseNotify                  Alert = 0
	AlertUnexpectedMessage            Alert = 10
	AlertBadRecordMAC                 Alert = 20
	AlertRecordOverflow               Alert = 22
	AlertHandshakeFailure             Alert = 40
	AlertBadCertificate               Alert = 42
	AlertUnsupportedCertificate       Alert = 43
	AlertCertificateRevoked           Alert = 44
	AlertCertificateExpired           Alert = 45
	AlertCertificateUnknown           Alert = 46
	AlertIllegalParameter             Alert = 47
	AlertUnknownCA                    Alert = 48
	AlertAccessDenied                 Alert = 49
	AlertDecodeError                  Alert = 50
	AlertDecryptError                 Alert = 51
	AlertProtocolVersion              Alert = 70
	AlertInsufficientSecurity         Alert = 71
	AlertInternalError                Alert = 80
	AlertInappropriateFallback        Alert = 86
	AlertUserCanceled                 Alert = 90
	AlertMissingExtension             Alert = 109
	AlertUnsupportedExtension         Alert = 110
	AlertUnrecognizedName             Alert = 112
	AlertBadCertificateStatusResponse Alert = 113
	AlertUnknownPSKIdentity           Alert = 115
	AlertCertificateRequired          Alert = 116
	AlertNoApplicationProtocol        Alert = 120
)

var alertNames = map[Alert]string{
	AlertCloseNotify:                  "close_notify",
	AlertUnexpectedMessage:            "unexpected_message",
	AlertBadRecordMAC:                 "bad_record_mac",
	AlertRecordOverflow:               "record_overflow",
	AlertHandshakeFailure:             "handshake_failure",
	AlertBadCertificate:               "bad_certificate",
	AlertUnsupportedCertificate:       "unsupported_certificate",
	AlertCertificateRevoked:           "certificate_revoked",
	AlertCertificateExpired:           "certificate_expired",
	AlertCertificateUnknown:           "certificate_unknown",
	AlertIllegalParameter:             "illegal_parameter",
	AlertUnknownCA:                    "unknown_ca",
	AlertAccessDenied:                 "access_denied",
	AlertDecodeError:                  "decode_error",
	AlertDecryptError:                 "decrypt_error",
	AlertProtocolVersion:              "protocol_version",
	AlertInsufficientSecurity:         "insufficient_security",
	AlertInternalError:                "internal_error",
	AlertInappropriateFallback:        "inappropriate_fallback",
	AlertUserCanceled:                 "user_canceled",
	AlertMissingExtension:             "missing_extension",
	AlertUnsupportedExtension:         "unsupported_extension",
	AlertUnrecognizedName:             "unrecognized_name",
	AlertBadCertificateStatusResponse: "bad_certificate_status_response",
	AlertUnknownPSKIdentity:           "unknown_psk_identity",
	AlertCertificateRequired:          "certificate_required",
	AlertNoApplicationProtocol:        "no_application_protocol",
}

// String returns the RFC's name.
func (a Alert) String() string {
	if name, ok := alertNames[a]; ok {
		return name
	}
	return fmt.Sprintf("alert %d", uint8(a))
}

// AlertError is a fatal alert that ended the connection.
type AlertError struct {
	Alert Alert
	// Received tells that the peer sent the alert; otherwise we did.
	Received bool
	// Reason says what was wrong. For a received alert it says what the peer
	// is likely to mean, and may be empty.
	Reason string
}

// Error says what happened, for an administrator, and names the alert.
func (e *AlertError) Error() string {
	switch {
	case !e.Received:
		return fmt.Sprintf("%s (we sent alert %v)", e.Reason, e.Alert)
	case e.Reason == "":
		return fmt.Sprintf("peer sent alert %v", e.Alert)
	}
	return fmt.Sprintf("peer sent alert %v: %s", e.Alert, e.Reason)
}

// fatal is an error that is told to the peer with an alert.
func fatal(alert Alert, format string, args ...any) error {
	return &AlertError{Alert: alert, Reason: fmt.Sprintf(format, args...)}
}

var (
	errCloseNotify = errors.New("peer ended the connection with close_notify")
	errWriteClosed = errors.New("the connection has been closed for writing")
)

// likelyMeaning says what a peer that sent alert usually did not like of what it was
// offered, where that is not plain from the alert's name.
func likelyMeaning(alert Alert, offered generations) string {
	switch alert {
	case AlertHandshakeFailure, AlertInsufficientSecurity:
		return fmt.Sprintf("it accepts none of the cipher suites, groups or signature schemes offered, or knows no %v", offered)
	case AlertProtocolVersion:
		return fmt.Sprintf("it does not speak %s, upgrade it", offered.versions())
	case AlertUnsupportedCertificate:
		return fmt.Sprintf("it knows no %v, or has no such key", offered)
	case AlertCertificateRequired:
		return "it wants a certificate of us, and we have none"
	}
	return ""
}

// parseAlert returns what an alert record means to the reader: nil for
// user_canceled, which announces a close_notify (RFC 8446, section 6.1). The level
// is ignored, "severity is implicit in the type of alert" (section 6). The peer was
// offered the generations given.
func parseAlert(record []byte, offered generations) error {
	if len(record) != 2 {
		return fatal(AlertDecodeError, "peer sent an alert of %d bytes instead of 2", len(record))
	}
	switch alert := Alert(record[1]); alert {
	case AlertCloseNotify:
		return errCloseNotify
	case AlertUserCanceled:
		return nil
	default:
		return &AlertError{Alert: alert, Received: true, Reason: likelyMeaning(alert, offered)}
	}
}

// sendAlertFor tells the peer why we end the connection, if err is the peer's fault.
func (c *Conn) sendAlertFor(err error) {
	var alert *AlertError
	if !errors.As(err, &alert) || alert.Received {
		return
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if c.out.permission != hasClosed {
		// err already says all; that the peer is not there to be told adds nothing.
		_ = c.writeAlert(alert.Alert, err)
	}
}

// writeAlert sends the last record that the peer gets: afterwards writing fails
// with closed. The caller holds c.out.mu.
func (c *Conn) writeAlert(alert Alert, closed error) error {
	const warning, fatal = 1, 2
	level := byte(fatal)
	if alert == AlertCloseNotify {
		level = warning
	}
	err := c.writeRecord(recordAlert, []byte{level, byte(alert)})
	if err == nil {
		c.out.permission, c.out.err = hasClosed, closed
	}
	return err
}
