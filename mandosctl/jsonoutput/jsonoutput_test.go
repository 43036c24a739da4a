// SPDX-License-Identifier: Apache-2.0

package jsonoutput_test

import (
	"os"
	"time"

	"mandos/dbusapi"
	"mandos/mandosctl/jsonoutput"
)

var now = time.Date(2026, 11, 23, 4, 5, 6, 7000, time.UTC)

func ExampleOfClients() {
	foo := dbusapi.Client{Name: "foo", Enabled: true, Timeout: 5 * time.Minute, Interval: 90 * time.Second,
		Expires: now.Add(4 * time.Minute), LastCheckedOK: now, LastCheckerStatus: -2}
	jsonoutput.Write(os.Stdout, jsonoutput.OfClients([]dbusapi.Client{foo}, now), true)
	// Output:
	// {
	//   "schemaVersion": 1,
	//   "clients": [
	//     {
	//       "name": "foo",
	//       "state": "untested",
	//       "reason": "no check has ended yet",
	//       "enabled": true,
	//       "host": "",
	//       "keyID": "",
	//       "fingerprint": "",
	//       "checker": "",
	//       "timeout": 300,
	//       "extendedTimeout": 0,
	//       "interval": 90,
	//       "approvalDelay": 0,
	//       "approvalDuration": 0,
	//       "approvedByDefault": false,
	//       "created": null,
	//       "lastEnabled": null,
	//       "expires": "2026-11-23T04:09:06.000007Z",
	//       "lastCheckedOK": "2026-11-23T04:05:06.000007Z",
	//       "lastCheckerStatus": null,
	//       "secretProblem": "",
	//       "lastCheckerOutput": "",
	//       "checkerRunning": false,
	//       "approvalPending": false,
	//       "lastApprovalRequest": null,
	//       "lastHandout": null,
	//       "lastHandoutKey": "",
	//       "onBorrowedTime": false,
	//       "absenceUntil": null,
	//       "absenceReason": "",
	//       "approvalsNeeded": 1,
	//       "approvalsAhead": 0,
	//       "approvedAheadUntil": null,
	//       "handoutsAllowed": 0,
	//       "allowedUntil": null,
	//       "disabledSince": null,
	//       "disabledBecause": "",
	//       "disabledBy": null
	//     }
	//   ]
	// }
}

func ExampleOfEvent() {
	jsonoutput.Write(os.Stdout, jsonoutput.OfEvent(&dbusapi.Event{
		Kind: dbusapi.CheckerCompleted, Time: now, Client: "foo", Command: "fping -q -- foo & true",
	}), false)
	// Output:
	// {"schemaVersion":1,"time":"2026-11-23T04:05:06.000007Z","kind":"checker-completed","client":"foo","command":"fping -q -- foo & true","status":0}
}

func ExampleOfFindings() {
	jsonoutput.Write(os.Stdout, jsonoutput.OfFindings(nil), true)
	// Output:
	// {
	//   "schemaVersion": 1,
	//   "findings": []
	// }
}
