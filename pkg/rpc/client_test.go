package rpc_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/resolver"

	"github.com/robson/robson/pkg/rpc"
)

// asked is a resolver that tells how it was built, and finds nothing.
type asked struct{ options chan resolver.BuildOptions }

func (a asked) Build(_ resolver.Target, _ resolver.ClientConn, options resolver.BuildOptions) (resolver.Resolver, error) {
	a.options <- options
	return a, nil
}

func (asked) Scheme() string                        { return "asked" }
func (asked) ResolveNow(resolver.ResolveNowOptions) {}
func (asked) Close()                                {}

// A TXT record that nobody answers for would hold every connection up until the name server's time-outs.
func TestDial_AsksNamesForNoConfiguration(t *testing.T) {
	t.Parallel()
	names := asked{options: make(chan resolver.BuildOptions, 1)}
	conn, err := rpc.Dial(rpc.ClientConfig{Address: "asked:///eventlog:7402", Token: "any"}, grpc.WithResolvers(names))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	conn.Connect()
	require.True(t, (<-names.options).DisableServiceConfig)
}
