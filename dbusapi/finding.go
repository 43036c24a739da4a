// SPDX-License-Identifier: Apache-2.0

package dbusapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Severity is how bad a finding is.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"   // the server would not take it
	SeverityWarning Severity = "warning" // it can hardly be meant
)

// Finding is something that is wrong with the configuration.
type Finding struct {
	Severity Severity `json:"severity"`
	File     string   `json:"file"` // or the option of the command line
	Line     int      `json:"line"` // 0 for the file as a whole
	Section  string   `json:"section"`
	Key      string   `json:"key"`
	Problem  string   `json:"problem"` // and what to do; never a piece of a secret
}

// Where is the file and line; empty if neither is known.
func (f *Finding) Where() string {
	switch {
	case f.Line == 0:
		return f.File
	case f.File == "":
		return fmt.Sprintf("line %d", f.Line)
	}
	return fmt.Sprintf("%s:%d", f.File, f.Line)
}

// What is the problem, with the section and key that it is about.
func (f *Finding) What() string {
	var about string
	if f.Section != "" {
		about = "[" + f.Section + "] "
	}
	if about = strings.TrimSpace(about + f.Key); about != "" {
		about += ": "
	}
	return about + f.Problem
}

// Section is what the server makes of the section of a client that is yet to be, as
// "mandos-keygen --password" prints it. With an error among the findings all else may
// be missing.
type Section struct {
	Name        string `json:"name"`
	KeyID       string `json:"keyID"`       // upper-case hex; may be empty
	Fingerprint string `json:"fingerprint"` // upper-case hex; may be empty
	// Recipients are the keys that the secret is encrypted to.
	Recipients string `json:"recipients"`
	// Command is what of the section becomes a command that the server runs.
	Command  []Assignment `json:"command"`
	Text     string       `json:"text"` // as it is to be written to a file
	Findings []Finding    `json:"findings"`
}

// Assignment is a key with its value as it is written.
type Assignment struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// SecretVerdict is what the server makes of what is to be a client's secret.
type SecretVerdict struct {
	// Recipients are the keys that the secret is encrypted to.
	Recipients string    `json:"recipients"`
	Findings   []Finding `json:"findings"`
}

// Refused is the error that the findings come to, with a line for each of severity
// error; nil if there is none.
func Refused(findings []Finding) error {
	var lines []string
	for i := range findings {
		f := &findings[i]
		if f.Severity != SeverityError {
			continue
		}
		where := f.Where()
		if where != "" {
			where += ": "
		}
		lines = append(lines, where+f.What())
	}
	if lines == nil {
		return nil
	}
	return errors.New(strings.Join(lines, "\n"))
}

// ReadSection has the server read the section of a client that is yet to be. It
// changes nothing. A server without [ServerInterface1] cannot: ErrNotSupported.
func (conn *Connection) ReadSection(ctx context.Context, text string) (s Section, err error) {
	return s, conn.askJSON(ctx, "ReadSection", text, &s)
}

// JudgeSecret has the server look at what is to be a client's secret. It changes
// nothing. A server without [ServerInterface1] cannot: ErrNotSupported.
func (conn *Connection) JudgeSecret(ctx context.Context, secret []byte) (v SecretVerdict, err error) {
	return v, conn.askJSON(ctx, "JudgeSecret", secret, &v)
}

// askJSON calls a method that answers with a document in JSON.
func (conn *Connection) askJSON(ctx context.Context, method string, argument, answer any) error {
	var document string
	if err := conn.call(ctx, ServerPath, ServerInterface1+"."+method, []any{argument}, &document); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(document), answer); err != nil {
		return &Error{Reason: ErrFailed, Message: "its answer cannot be understood; is it of another version?"}
	}
	return nil
}
