"""Disputes by test cards: from the charge to the decision, with evidence, refunds and who is debited."""

import pytest
import stripe

from support import Books, Row, acting_for, eventually, find_event, payment


class Disputed:
    """A charge by a test card that is disputed, once the dispute is there."""

    def __init__(self, client, card, account=None, amount=10000, **params):
        self.client = client
        self.options = acting_for(account) if account else {}
        self.books = Books(client, account)
        intent = client.v1.payment_intents.create(
            payment(amount, **{"payment_method": f"pm_card_{card}", **params}), self.options
        )
        assert intent.status == "succeeded"
        self.intent, self.charge_id = intent.id, intent.latest_charge
        self.charge = eventually(self._charge, lambda charge: charge.disputed, patience=30)
        self.id = self.charge.dispute

    def _charge(self):
        return self.client.v1.charges.retrieve(self.charge_id, options=self.options)

    def now(self, **params):
        return self.client.v1.disputes.retrieve(self.id, params, self.options)

    def update(self, **params):
        return self.client.v1.disputes.update(self.id, params, self.options)

    def answer(self, words):
        answered = self.update(evidence={"uncategorized_text": words})
        return eventually(self.now, lambda dispute: dispute.status != answered.status, patience=30)

    def rows(self, expected):
        return [
            (t.type, t.amount, t.fee, t.net, t.reporting_category, t.description)
            for t in self.books.transactions(expected, source=self.id)
        ]


@pytest.mark.parametrize(
    "card, reason, status, case, code",
    [
        ("createDispute", "fraudulent", "needs_response", "chargeback", "10.4"),
        ("createDisputeProductNotReceived", "product_not_received", "needs_response", "chargeback", "13.1"),
        ("createDisputeInquiry", "fraudulent", "warning_needs_response", "inquiry", "10.4"),
    ],
)
def test_a_test_card_opens_a_dispute(client, card, reason, status, case, code):
    disputed = Disputed(client, card)
    dispute = disputed.now()

    assert dispute.id.startswith("du_")
    assert (dispute.reason, dispute.status) == (reason, status)
    assert (dispute.amount, dispute.currency) == (10000, "usd")
    assert (dispute.charge, dispute.payment_intent) == (disputed.charge_id, disputed.intent)
    details = dispute.payment_method_details
    assert (details.type, details.card.brand, details.card.case_type) == ("card", "visa", case)
    assert (dispute.network_reason_code, details.card.network_reason_code) == (code, code)
    assert dispute.evidence_details.has_evidence is False
    assert dispute.evidence_details.past_due is False
    assert dispute.evidence_details.submission_count == 0
    assert dispute.evidence_details.due_by % 86400 == 86399
    assert 9 <= (dispute.evidence_details.due_by - dispute.created) / 86400 < 10
    assert dispute.is_charge_refundable is (case == "inquiry")
    assert len(dispute.balance_transactions) == (0 if case == "inquiry" else 1)
    assert find_event(client, "charge.dispute.created", dispute.id) is not None


def test_the_raw_number_opens_it_too(client):
    card = {"type": "card", "card": {"number": "4000000000000259", "exp_month": 12, "exp_year": 2034, "cvc": "123"}}
    intent = client.v1.payment_intents.create(
        {**payment(4200), "payment_method": None, "payment_method_data": card}
    )
    charge = eventually(
        lambda: client.v1.charges.retrieve(intent.latest_charge, {"expand": ["dispute"]}),
        lambda charge: charge.disputed,
        patience=30,
    )
    assert charge.dispute.amount == 4200


def test_winning_evidence_returns_the_money_and_keeps_the_fee(client):
    disputed = Disputed(client, "createDispute")
    won = disputed.answer("winning_evidence")

    assert won.status == "won"
    assert won.is_charge_refundable is True
    assert (won.evidence_details.submission_count, won.evidence_details.submission_method) == (1, "manual")
    assert disputed.rows(2) == [
        ("adjustment", -10000, 1500, -11500, "dispute", f"Chargeback withdrawal for {disputed.charge_id}"),
        ("adjustment", 10000, 0, 10000, "dispute_reversal", f"Chargeback reversal for {disputed.charge_id}"),
    ]
    withdrawn, returned = won.balance_transactions
    assert [detail.description for detail in withdrawn.fee_details] == ["Dispute fee"]
    assert (withdrawn.fee_details[0].type, withdrawn.fee_details[0].amount) == ("stripe_fee", 1500)
    assert returned.fee_details == []
    assert withdrawn.exchange_rate is None
    for kind in ("funds_withdrawn", "updated", "closed", "funds_reinstated"):
        assert find_event(client, f"charge.dispute.{kind}", won.id) is not None, kind
    assert client.v1.charges.retrieve(disputed.charge_id).disputed is True
    refund = client.v1.refunds.create({"charge": disputed.charge_id})
    assert refund.status == "succeeded"


def test_losing_evidence_loses(client):
    lost = Disputed(client, "createDispute").answer("losing_evidence")
    assert (lost.status, lost.is_charge_refundable) == ("lost", False)
    assert len(lost.balance_transactions) == 1


def test_an_inquiry_escalates_to_a_chargeback(client):
    disputed = Disputed(client, "createDisputeInquiry")
    assert disputed.rows(0) == []

    dispute = disputed.update(evidence={"uncategorized_text": "escalate_inquiry_evidence"})
    assert dispute.status == "warning_under_review"
    dispute = eventually(disputed.now, lambda dispute: dispute.status == "needs_response", patience=30)
    assert dispute.payment_method_details.card.case_type == "chargeback"
    assert [row[:4] for row in disputed.rows(1)] == [("adjustment", -10000, 1500, -11500)]

    assert disputed.answer("winning_evidence").status == "won"


def test_accepting_is_final(client):
    disputed = Disputed(client, "createDispute")
    closed = client.v1.disputes.close(disputed.id)
    assert closed.status == "lost"
    with pytest.raises(stripe.InvalidRequestError, match="lost"):
        client.v1.disputes.close(disputed.id)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        disputed.update(evidence={"uncategorized_text": "winning_evidence"})
    assert refused.value.param == "evidence"
    # Metadata may still change.
    assert disputed.update(metadata={"case": "7"}).metadata["case"] == "7"


def test_an_inquiry_cannot_be_closed_but_ends_with_a_full_refund(client):
    disputed = Disputed(client, "createDisputeInquiry")
    with pytest.raises(stripe.InvalidRequestError, match="needs_response"):
        client.v1.disputes.close(disputed.id)
    client.v1.refunds.create({"charge": disputed.charge_id, "amount": 1000})
    assert disputed.now().status == "warning_needs_response"
    client.v1.refunds.create({"charge": disputed.charge_id})
    closed = disputed.now()
    assert (closed.status, closed.is_charge_refundable) == ("warning_closed", False)


def test_a_charge_under_a_chargeback_cannot_be_refunded(client):
    disputed = Disputed(client, "createDispute")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"charge": disputed.charge_id})
    assert (refused.value.http_status, refused.value.code, refused.value.param) == (400, "charge_disputed", None)


def test_evidence_is_staged_then_submitted(client):
    disputed = Disputed(
        client,
        "createDispute",
        payment_method=None,
        payment_method_data={
            "type": "card",
            "card": {"number": "4000000000000259", "exp_month": 12, "exp_year": 2034, "cvc": "123"},
            "billing_details": {"name": "Jenny Rosen", "email": "jenny@example.com"},
        },
    )
    first = disputed.now().evidence
    assert (first.customer_name, first.customer_email_address) == ("Jenny Rosen", "jenny@example.com")

    staged = disputed.update(
        evidence={
            "access_activity_log": "Logged in on Tuesday.",
            "customer_name": "J. Rosen",
            "shipping_tracking_number": "1Z",
        },
        intended_submission_method="manual",
        metadata={"case": "1"},
        submit=False,
    )
    assert (staged.status, staged.evidence_details.has_evidence) == ("needs_response", True)
    assert staged.evidence_details.submission_method == "not_submitted"
    assert staged.evidence.access_activity_log == "Logged in on Tuesday."
    assert staged.evidence.customer_name == "J. Rosen"
    assert staged.evidence.shipping_tracking_number == "1Z"
    assert (staged.intended_submission_method, staged.metadata["case"]) == ("manual", "1")

    submitted = disputed.update(submit=True)
    assert (submitted.status, submitted.evidence_details.submission_count) == ("under_review", 1)
    event = find_event(client, "charge.dispute.updated", disputed.id)
    assert event.data.previous_attributes["status"] == "needs_response"


@pytest.mark.parametrize(
    "params, param",
    [
        ({"submit": True}, "submit"),
        ({"evidence": {"receipt": "file_1"}}, "evidence[receipt]"),
        ({"evidence": {"appeal": {"card": {"reason_for_filing": "new facts"}}}}, "evidence[appeal]"),
        ({"evidence": {"cancelation_rebuttal": "x"}}, "evidence[cancelation_rebuttal]"),
        ({"evidence": {"customer_name": "x" * 5001}}, "evidence[customer_name]"),
        ({"evidence": {"uncategorized_text": "x" * 20001}}, "evidence[uncategorized_text]"),
        ({"intended_submission_method": "pigeon"}, "intended_submission_method"),
    ],
)
def test_updates_that_are_refused_change_nothing(client, params, param):
    disputed = Disputed(client, "createDispute")
    before = disputed.now().to_dict()
    with pytest.raises(stripe.InvalidRequestError) as refused:
        disputed.update(**params)
    assert (refused.value.http_status, refused.value.param) == (400, param)
    assert disputed.now().to_dict() == before


def test_compelling_evidence_is_completed_step_by_step(client):
    disputed = Disputed(client, "createCe3EligibleDispute")
    dispute = disputed.now()
    assert dispute.enhanced_eligibility_types == ["visa_compelling_evidence_3"]
    status = dispute.evidence_details.enhanced_eligibility.visa_compelling_evidence_3
    assert status.status == "requires_action"
    assert "missing_prior_undisputed_transactions" in status.required_actions

    payer = {"customer_purchase_ip": "203.0.113.7", "customer_account_id": "jenny", "product_description": "a chair"}
    dispute = disputed.update(
        evidence={
            "enhanced_evidence": {
                "visa_compelling_evidence_3": {
                    "disputed_transaction": {
                        **payer,
                        "merchandise_or_services": "merchandise",
                        "shipping_address": {"line1": "Main Street 1", "country": "US"},
                    },
                    "prior_undisputed_transactions": [{"charge": "ch_1", **payer}, {"charge": "ch_2", **payer}],
                }
            }
        },
        submit=False,
    )
    status = dispute.evidence_details.enhanced_eligibility.visa_compelling_evidence_3
    assert (status.status, status.required_actions) == ("qualified", [])
    given = dispute.evidence.enhanced_evidence.visa_compelling_evidence_3
    assert given.disputed_transaction.shipping_address.line1 == "Main Street 1"
    assert [prior.charge for prior in given.prior_undisputed_transactions] == ["ch_1", "ch_2"]


@pytest.mark.parametrize(
    "card, network",
    [
        ("createComplianceDispute", "visa_compliance"),
        ("createMastercardComplianceDispute", "mastercard_compliance"),
    ],
)
def test_compliance_needs_the_fee_acknowledged(client, card, network):
    disputed = Disputed(client, card)
    dispute = disputed.now()
    assert dispute.payment_method_details.card.case_type == "compliance"
    assert dispute.enhanced_eligibility_types == [network]
    with pytest.raises(stripe.InvalidRequestError) as refused:
        disputed.update(evidence={"uncategorized_text": "winning_evidence"})
    param = f"evidence[enhanced_evidence][{network}][fee_acknowledged]"
    assert refused.value.param == param
    acknowledged = {network: {"fee_acknowledged": True}}
    answered = disputed.update(evidence={"uncategorized_text": "It was.", "enhanced_evidence": acknowledged})
    assert answered.status == "under_review"
    eligibility = answered.evidence_details.enhanced_eligibility
    assert eligibility[network].status == "fee_acknowledged"


def test_several_disputes_of_one_charge_are_listed_newest_first(client):
    disputed = Disputed(client, "createMultipleDisputes", amount=10001)
    page = client.v1.disputes.list({"charge": disputed.charge_id})
    assert [(dispute.amount, dispute.status) for dispute in page.data] == [
        (5001, "needs_response"),
        (5000, "needs_response"),
    ]
    assert page.data[0].id == disputed.id
    by_intent = client.v1.disputes.list({"payment_intent": disputed.intent, "limit": 1})
    assert ([dispute.id for dispute in by_intent.data], by_intent.has_more) == ([disputed.id], True)
    rest = client.v1.disputes.list({"payment_intent": disputed.intent, "starting_after": disputed.id})
    assert [dispute.id for dispute in rest.data] == [page.data[1].id]
    everything = client.v1.disputes.list({"created": {"gte": page.data[0].created}, "limit": 2})
    assert [dispute.id for dispute in everything.data] == [dispute.id for dispute in page.data]
    assert client.v1.disputes.list({"created": {"lt": 1}}).data == []
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.disputes.list({"charge": disputed.charge_id, "payment_intent": disputed.intent})


def test_expansion_leads_both_ways(client):
    disputed = Disputed(client, "createDispute")
    dispute = disputed.now(expand=["charge.balance_transaction", "payment_intent", "balance_transactions.source"])
    assert dispute.charge.balance_transaction.type == "charge"
    assert dispute.payment_intent.latest_charge == disputed.charge_id
    assert dispute.balance_transactions[0].source.id == disputed.id
    row = client.v1.balance_transactions.retrieve(
        dispute.balance_transactions[0].id, {"expand": ["source.payment_intent"]}
    )
    assert row.source.payment_intent.id == disputed.intent


def test_a_destination_charge_debits_the_platform_alone(client, seller, seller_books):
    disputed = Disputed(
        client, "createDispute", transfer_data={"destination": seller.id}, application_fee_amount=1000
    )
    assert disputed.books.rows(1, source=disputed.id) == [Row("adjustment", -10000, 1500, -11500)]
    assert seller_books.total() == 9000
    # The platform's remedy: take the transfer back, and send it again when the dispute is won.
    client.v1.transfers.reversals.create(disputed.charge.transfer)
    assert seller_books.total() == -1000


def test_a_direct_charge_debits_its_seller_who_answers(client, seller, seller_books):
    disputed = Disputed(client, "createDispute", account=seller.id)
    assert disputed.rows(1)[0][:4] == ("adjustment", -10000, 1500, -11500)
    assert seller_books.total() == -1820
    event = find_event(client, "charge.dispute.created", disputed.id, account=seller.id)
    assert event.account == seller.id
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.disputes.retrieve(disputed.id)
    assert refused.value.http_status == 404
    assert disputed.answer("winning_evidence").status == "won"
    assert seller_books.total() == 8180
