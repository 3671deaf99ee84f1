package server

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/robson/robson/pkg/event"
	"github.com/robson/robson/pkg/fault"
	commandv1 "github.com/robson/robson/proto/gen/go/robson/command/v1"
	eventv1 "github.com/robson/robson/proto/gen/go/robson/event/v1"
	projectorv1 "github.com/robson/robson/proto/gen/go/robson/projector/v1"
)

// The exchanges. What is of none is of Binance, in a simulated environment too.
const (
	exchangeBinance = "binance"
	exchangePaper   = "paper"
)

// CreateTenant implements commandv1.SetupServiceServer.
func (s *Server) CreateTenant(ctx context.Context, in *commandv1.CreateTenantRequest) (*commandv1.CreateTenantResponse, error) {
	req := request{method: commandv1.SetupService_CreateTenant_FullMethodName, body: in, dryRun: in.GetDryRun()}
	res, err := s.committer.commit(ctx, req, func(ctx context.Context, who caller) (*plan, error) {
		if in.GetTenantId() != "" && in.GetTenantId() != who.tenantID {
			return nil, fault.InvalidField("tenant_id", "must be the tenant of the call, %s", who.tenantID)
		}
		_, err := s.state.GetTenant(ctx, &projectorv1.GetTenantRequest{})
		if err == nil {
			return nil, fault.New(fault.Refused, "TENANT_EXISTS", "tenant %s exists", who.tenantID)
		}
		if !fault.Is(err, fault.NotFound) {
			return nil, fmt.Errorf("read tenant: %w", err)
		}
		planned := &plan{}
		planned.add(tenantStream(who.tenantID), noStream(), s.committer.clock.Now(), event.Wrap(&eventv1.TenantCreated{
			TenantId: who.tenantID, Name: in.GetName(), Plan: in.GetPlan(),
		}))
		return planned, nil
	})
	if err != nil {
		return nil, err
	}
	return &commandv1.CreateTenantResponse{
		Outcome: res.outcome(), TenantId: res.events[0].payload.GetTenantCreated().GetTenantId(),
	}, nil
}

// RegisterAccount implements commandv1.SetupServiceServer.
func (s *Server) RegisterAccount(ctx context.Context, in *commandv1.RegisterAccountRequest) (*commandv1.RegisterAccountResponse, error) {
	req := request{method: commandv1.SetupService_RegisterAccount_FullMethodName, body: in, dryRun: in.GetDryRun()}
	res, err := s.committer.commit(ctx, req, func(ctx context.Context, who caller) (*plan, error) {
		if err := checkAccount(in); err != nil {
			return nil, err
		}
		registered := &eventv1.AccountRegistered{
			AccountId: in.GetAccountId(), Exchange: cmp.Or(in.GetExchange(), exchangeBinance), Environment: in.GetEnvironment(), Product: in.GetProduct(),
			Label: in.GetLabel(), RiskLimits: in.GetRiskLimits(), ApiKeyFingerprint: in.GetApiKeyFingerprint(),
			Permissions: in.GetPermissions(), Version: 1, QuoteAsset: in.GetQuoteAsset(), MarginSymbol: in.GetMarginSymbol(),
		}
		if registered.GetAccountId() == "" {
			registered.AccountId = who.derive("account").String()
		}
		planned, expected := &plan{}, noStream()
		found, err := s.state.GetAccount(ctx, &projectorv1.GetAccountRequest{AccountId: registered.GetAccountId()})
		switch {
		case err == nil:
			if err := sameAccount(found.GetAccount(), in); err != nil {
				return nil, err
			}
			registered.Exchange = found.GetAccount().GetExchange()
			registered.Version, expected, planned.decidedAt = found.GetAccount().GetVersion()+1, exists(), found.GetAsOf()
			planned.read(rowRisk, registered.GetAccountId())
		case !fault.Is(err, fault.NotFound):
			return nil, fmt.Errorf("read account %s: %w", registered.GetAccountId(), err)
		}
		planned.add(accountStream(registered.GetAccountId()), expected, s.committer.clock.Now(),
			event.Wrap(registered))
		return planned, nil
	})
	if err != nil {
		return nil, err
	}
	registered := res.events[0].payload.GetAccountRegistered()
	return &commandv1.RegisterAccountResponse{
		Outcome: res.outcome(), AccountId: registered.GetAccountId(), Version: registered.GetVersion(),
	}, nil
}

// RotateCredentials implements commandv1.SetupServiceServer.
func (s *Server) RotateCredentials(ctx context.Context, in *commandv1.RotateCredentialsRequest) (*commandv1.RotateCredentialsResponse, error) {
	req := request{method: commandv1.SetupService_RotateCredentials_FullMethodName, body: in, dryRun: in.GetDryRun()}
	res, err := s.committer.commit(ctx, req, func(ctx context.Context, _ caller) (*plan, error) {
		found, err := s.state.GetAccount(ctx, &projectorv1.GetAccountRequest{AccountId: in.GetAccountId()})
		if err != nil {
			return nil, fmt.Errorf("read account %s: %w", in.GetAccountId(), err)
		}
		if err := checkFingerprint("new_fingerprint", found.GetAccount().GetEnvironment(), in.GetNewFingerprint()); err != nil {
			return nil, err
		}
		before := found.GetAccount().GetApiKeyFingerprint()
		switch {
		case in.GetOldFingerprint() != "" && in.GetOldFingerprint() != before:
			return nil, fault.New(fault.Refused, "API_KEY_REPLACED", "account %s has another API key than the one that is to be replaced", in.GetAccountId())
		case in.GetNewFingerprint() == before:
			return nil, fault.New(fault.Refused, "NOTHING_CHANGED", "the API key stands for account %s already", in.GetAccountId())
		}
		planned := &plan{decidedAt: found.GetAsOf()}
		planned.add(accountStream(in.GetAccountId()), exists(), s.committer.clock.Now(), event.Wrap(&eventv1.CredentialsRotated{
			AccountId: in.GetAccountId(), OldFingerprint: before, NewFingerprint: in.GetNewFingerprint(),
			KeyType: in.GetKeyType(), Reason: in.GetReason(),
		}))
		return planned, nil
	})
	if err != nil {
		return nil, err
	}
	return &commandv1.RotateCredentialsResponse{
		Outcome: res.outcome(), OldFingerprint: res.events[0].payload.GetCredentialsRotated().GetOldFingerprint(),
	}, nil
}

// wholePercent is all of the capital.
var wholePercent = decimal.NewFromInt(100)

// realFingerprint is what the connector names a key by.
var realFingerprint = regexp.MustCompile("^sha256:[0-9a-f]{64}$")

// checkFingerprint refuses a fingerprint that no key of a real exchange can have: the account could never trade. What signs for a
// simulated account is for the simulation to say.
func checkFingerprint(field string, environment eventv1.Environment, fingerprint string) error {
	if environment == eventv1.Environment_ENVIRONMENT_SIM || realFingerprint.MatchString(fingerprint) {
		return nil
	}
	return fault.InvalidField(field, "must be sha256: and the SHA-256 of the API key in 64 hexadecimal digits (printf %%s KEY | sha256sum)")
}

// checkAccount refuses what no state could make right.
func checkAccount(in *commandv1.RegisterAccountRequest) error {
	if in.GetExchange() == exchangePaper && in.GetEnvironment() != eventv1.Environment_ENVIRONMENT_SIM {
		return fault.InvalidField("exchange", "must not be paper outside of environment SIM")
	}
	if err := checkFingerprint("api_key_fingerprint", in.GetEnvironment(), in.GetApiKeyFingerprint()); err != nil {
		return err
	}
	margin := in.GetProduct() == eventv1.Product_PRODUCT_ISOLATED_MARGIN
	if margin != (in.GetMarginSymbol() != "") {
		return fault.InvalidField("margin_symbol", "is needed for ISOLATED_MARGIN and for nothing else")
	}
	if margin && !strings.HasSuffix(in.GetMarginSymbol(), in.GetQuoteAsset()) {
		return fault.InvalidField("margin_symbol", "must be quoted in the account's %s", in.GetQuoteAsset())
	}
	for _, permission := range in.GetPermissions() {
		if strings.Contains(strings.ToLower(permission), "withdraw") {
			return fault.InvalidField("permissions", "must not hold withdrawal: Robson is non-custodial")
		}
	}
	if in.GetRiskLimits().GetMaxOpenPositions() <= 0 {
		return fault.InvalidField("risk_limits.max_open_positions", "must be above zero")
	}
	most, err := userAmount("risk_limits.risk_percent_max", in.GetRiskLimits().GetRiskPercentMax())
	if err != nil {
		return err
	}
	if most.GreaterThan(wholePercent) {
		return fault.InvalidField("risk_limits.risk_percent_max", "must be at most %s", wholePercent)
	}
	return nil
}

// sameAccount refuses to make another account of one that exists: only its limits, label and key may change.
func sameAccount(row *projectorv1.Account, in *commandv1.RegisterAccountRequest) error {
	if row.GetExchange() != cmp.Or(in.GetExchange(), row.GetExchange()) || row.GetEnvironment() != in.GetEnvironment() || row.GetProduct() != in.GetProduct() ||
		row.GetQuoteAsset() != in.GetQuoteAsset() || row.GetMarginSymbol() != in.GetMarginSymbol() {
		return fault.New(fault.Refused, "ACCOUNT_DIFFERS",
			"account %s exists with another exchange, environment, product, quote asset or pair", row.GetAccountId())
	}
	return nil
}

// lookAtAccount reads what is known of an account, and the time: there is no symbol to ask the venue for it, so it is
// the service's own.
func (s *Server) lookAtAccount(ctx context.Context, accountID string) (*projectorv1.GetDecisionViewResponse, time.Time, error) {
	view, err := s.state.GetDecisionView(ctx, &projectorv1.GetDecisionViewRequest{AccountId: accountID})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read account %s: %w", accountID, err)
	}
	return view, s.committer.clock.Now(), nil
}
