// SPDX-License-Identifier: Apache-2.0

package client

import "fmt"

// ActorKind is a code for what an [Actor] is.
type ActorKind string

// The kinds of actors.
const (
	Itself        ActorKind = "server"        // acting by its rules
	Configuration ActorKind = "configuration" // what its files ask for
	Caller        ActorKind = "caller"        // a process on the bus
	FormerServer  ActorKind = "former-server" // of whose state, which was taken over, only the effect is known
)

// ActorKinds are all of them.
var ActorKinds = []ActorKind{Itself, Configuration, Caller, FormerServer}

// Actor is who changes something. The zero Actor is nobody.
type Actor struct {
	Kind ActorKind
	// BusName is the unique bus name of a caller. UID and PID are the process behind
	// it; with PID 0 it is unknown, such as that of a caller that left the bus
	// without waiting for the answer.
	BusName  string
	UID, PID uint32
	// For is whom a caller says that it acts for; mostly empty. It is its word alone.
	For string
}

// The actors that are no callers.
var (
	ByItself          = Actor{Kind: Itself}
	FromConfiguration = Actor{Kind: Configuration}
	ByFormerServer    = Actor{Kind: FormerServer}
)

func (a Actor) String() string {
	if a.Kind != Caller {
		return string(a.Kind)
	}
	text := fmt.Sprintf("uid %d, pid %d", a.UID, a.PID)
	if a.PID == 0 {
		text = "unknown process, caller " + a.BusName
	}
	if a.For != "" {
		text += fmt.Sprintf(", for %q", a.For)
	}
	return text
}
