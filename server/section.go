// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"

	"mandos/dbusapi"
	"mandos/server/client"
	"mandos/server/config"
)

// ReadSection is part of [bus.Daemon].
func (d *daemon) ReadSection(text string) dbusapi.Section { return readSection(text) }

// JudgeSecret is part of [bus.Daemon].
func (d *daemon) JudgeSecret(secret []byte) dbusapi.SecretVerdict { return secretVerdict(secret) }

// readSection reads the section of a client that is yet to be.
func readSection(text string) dbusapi.Section {
	var recipients string
	read, err := config.ReadSection(text, func(c client.Settings) (remarks []config.Remark) {
		if c.Secret.Len() > 0 {
			recipients, remarks = judgeSecret(c.Secret.Bytes())
		}
		return remarks
	})
	section := dbusapi.Section{Findings: faults(err)}
	if read == nil {
		return section
	}
	section.Name, section.KeyID, section.Fingerprint = read.Settings.Name, read.Settings.KeyID, read.Settings.Fingerprint
	section.Recipients, section.Text = recipients, read.Text
	section.Findings = append(section.Findings, warnings(read.Warnings)...)
	for _, a := range read.Command {
		section.Command = append(section.Command, dbusapi.Assignment(a))
	}
	return section
}

// secretVerdict looks at what is to be a client's secret.
func secretVerdict(secret []byte) dbusapi.SecretVerdict {
	recipients, remarks := judgeSecret(secret)
	verdict := dbusapi.SecretVerdict{Recipients: recipients}
	for _, r := range remarks {
		severity := dbusapi.SeverityWarning
		if r.Unfit {
			severity = dbusapi.SeverityError
		}
		verdict.Findings = append(verdict.Findings, dbusapi.Finding{Severity: severity, Problem: r.Problem})
	}
	return verdict
}

// answerSection is for mandosctl add where no server runs: a section in, JSON out.
func answerSection(in io.Reader, out io.Writer) error {
	text, err := readAtMost(in, config.MaxSection)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(readSection(string(text)))
}

// answerSecret is for mandosctl secret where no server runs: a secret in, JSON out.
func answerSecret(in io.Reader, out io.Writer) error {
	secret, err := readAtMost(in, client.MaxSecret)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(secretVerdict(secret))
}

func readAtMost(in io.Reader, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("standard input has more than %d bytes, which cannot be right", most)
	}
	return data, err
}
