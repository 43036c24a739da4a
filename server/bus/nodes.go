// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"mandos/dbusapi"
)

// nodes knows which object paths have others below them. It is made anew when
// it is needed after clients came or went, since asking it for each of ten
// thousand clients in turn must not look at all of them each time.
type nodes struct {
	changes atomic.Int64
	tree    atomic.Pointer[nodeTree]
}

type nodeTree struct {
	changes  int64 // how many there had been when the tree was made
	children map[string][]string
}

func (n *nodes) outdated() { n.changes.Add(1) }

// children are the names of the nodes directly below a path, sorted.
func (s *Service) children(path string) []string {
	if path == dbusapi.ServerPath {
		return []string{strings.TrimPrefix(dbusapi.ClientsPath, "/")}
	}
	changes := s.nodes.changes.Load()
	tree := s.nodes.tree.Load()
	if tree == nil || tree.changes != changes {
		tree = &nodeTree{changes: changes, children: s.growTree()}
		s.nodes.tree.Store(tree)
	}
	return tree.children[path]
}

func (s *Service) growTree() map[string][]string {
	below := make(map[string]map[string]bool)
	for _, view := range s.registry.Clients() {
		for path := view.ObjectPath; path != dbusapi.ClientsPath; {
			i := strings.LastIndexByte(path, '/')
			parent, name := path[:i], path[i+1:]
			if below[parent] == nil {
				below[parent] = make(map[string]bool)
			}
			below[parent][name] = true
			path = parent
		}
	}
	children := make(map[string][]string, len(below))
	for path, names := range below {
		children[path] = slices.Sorted(maps.Keys(names))
	}
	return children
}
