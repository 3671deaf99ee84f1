package e2e_test

import (
	"os/exec"
	"syscall"
)

// dieWithTests has a process told to stop when the tests are killed, or end by their time-out, so that none is left behind.
// The kernel tells it when the thread ends that started it.
func dieWithTests(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
