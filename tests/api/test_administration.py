"""Accounts, locations, users, grants and the device catalogue, as leads administer them."""

import asyncio

import pytest

from app.db.demo import USERS
from tests.harness import AUDITOR, CUSTOMER, LISTED_CUSTOMER, PARTNER, SCOPED_LEAD, Client, granting

PROBLEMS = "problems { code message path }"
CREATE_USER = f"mutation C($input: CreateUserInput!) {{ createUser(input: $input) {{ user {{ id name email role signInStatus }} {PROBLEMS} }} }}"  # noqa: E501 - one line reads best
LOCATIONS = "{ locations(first: 100) { nodes { id } } }"


async def ids_seen(client: Client, who: str) -> list[str]:
    answer = await client.ask(LOCATIONS, who)
    return [node["id"] for node in answer.data["locations"]["nodes"]]


async def test_an_account_a_location_and_a_customer_who_sees_it(own_client: Client) -> None:
    made = await own_client.ask(
        """mutation { createAccount(input: {name: "Dogwood Eye Care"}) {
           account { id name revision } problems { code } } }"""
    )
    account = made.data["createAccount"]["account"]
    assert (account["name"], account["revision"]) == ("Dogwood Eye Care", 1)
    place = await own_client.ask(
        """mutation M($account: ID!) { createLocation(input: {accountId: $account, name: "Dogwood - Main",
           address: {city: "Salem", country: "US"}, timezone: "America/New_York"}) {
             location { id name status address { city country } account { name } sections { revision } }
             problems { code } } }""",
        account=account["id"],
    )
    location = place.data["createLocation"]["location"]
    assert (location["status"], location["address"], len(location["sections"])) == (
        "NOT_STARTED",
        {"city": "Salem", "country": "US"},
        8,
    )
    user = {"name": "Dora", "email": "dora@dogwood.example", "role": "CUSTOMER", "accountId": account["id"]}
    created = (await own_client.ask(CREATE_USER, input=user)).data["createUser"]["user"]
    assert created["signInStatus"] == "ACTIVE"
    assert await ids_seen(own_client, "dora@dogwood.example") == []
    granted = await own_client.ask(
        """mutation G($user: ID!, $account: ID!) { setGrants(input: {userId: $user, expectedRevision: 1,
           grants: [{accountId: $account, scope: {allLocations: true}}]}) { user { id } problems { code } } }""",
        user=created["id"],
        account=account["id"],
    )
    assert granted.data["setGrants"]["problems"] == []
    assert await ids_seen(own_client, "dora@dogwood.example") == [location["id"]]


async def test_listed_grants_are_replaced_and_count_at_once(own_client: Client) -> None:
    assert await ids_seen(own_client, LISTED_CUSTOMER) == ["location-3", "location-2"]
    answer = await own_client.ask(
        """mutation { setGrants(input: {userId: "user-acme-north", expectedRevision: 1,
           grants: [{accountId: "account-1", scope: {locationIds: ["location-1"]}}]}) { problems { code } } }"""
    )
    assert answer.data["setGrants"]["problems"] == []
    assert await ids_seen(own_client, LISTED_CUSTOMER) == ["location-1"]


GRANTS = "revision grants { account { id } allLocations locations { nodes { id } } }"


async def test_a_lead_reads_what_a_user_may_see_and_changes_it_by_the_revision_read(own_client: Client) -> None:
    user = f'{{ node(id: "user-acme-north") {{ ... on User {{ {GRANTS} }} }} }}'
    account = {"account": {"id": "account-1"}}
    listed = {**account, "allLocations": False, "locations": {"nodes": [{"id": "location-2"}, {"id": "location-3"}]}}
    read = (await own_client.ask(user)).data["node"]
    assert read == {"revision": 1, "grants": [listed]}
    edited = await own_client.ask(
        f"""mutation E($revision: Int!) {{ editUser(input: {{userId: "user-acme-north", expectedRevision: $revision,
            name: "N. Reed"}}) {{ user {{ revision }} {PROBLEMS} }} }}""",
        revision=read["revision"],
    )
    assert edited.data["editUser"] == {"user": {"revision": 2}, "problems": []}
    granted = await own_client.ask(
        f"""mutation G($revision: Int!) {{ setGrants(input: {{userId: "user-acme-north", expectedRevision: $revision,
            grants: [{{accountId: "account-1", scope: {{allLocations: true}}}}]}}) {{
            user {{ {GRANTS} }} {PROBLEMS} }} }}""",
        revision=edited.data["editUser"]["user"]["revision"],
    )
    whole = {**account, "allLocations": True, "locations": {"nodes": []}}
    assert granted.data["setGrants"] == {"user": {"revision": 3, "grants": [whole]}, "problems": []}


@pytest.mark.parametrize(("who", "user"), [(CUSTOMER, "user-acme"), (PARTNER, "user-carrier")])
async def test_nobody_but_leads_reads_what_is_granted_not_even_to_themselves(
    client: Client, who: str, user: str
) -> None:
    answer = await client.ask(f'{{ node(id: "{user}") {{ id ... on User {{ {GRANTS} }} }} }}', who)
    assert answer.body["data"] == {"node": {"id": user, "revision": 1, "grants": None}}
    assert answer.codes == ["FORBIDDEN"]


async def test_leads_page_through_everybody_who_signs_in(client: Client) -> None:
    page = (
        "query($after: String) { users(first: 3, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }"
    )
    seen, after = [], None
    while True:
        found = (await client.ask(page, after=after)).data["users"]
        seen += [node["id"] for node in found["nodes"]]
        after = found["pageInfo"]["endCursor"]
        if not found["pageInfo"]["hasNextPage"]:
            break
    assert seen == sorted(set(seen))
    assert {user.id for user in USERS} <= set(seen)


@pytest.mark.parametrize("who", [CUSTOMER, PARTNER])
async def test_nobody_but_leads_lists_users(client: Client, who: str) -> None:
    answer = await client.ask("{ users { nodes { id } } }", who)
    assert (answer.body["data"], answer.codes) == ({"users": None}, ["FORBIDDEN"])


async def test_a_suspended_user_is_refused_at_the_next_request_and_let_in_again(own_client: Client) -> None:
    change = 'mutation { %s(input: {userId: "user-acme"}) { user { signInStatus } problems { code } } }'
    await own_client.ask(change % "suspendUser")
    refused = await own_client.ask("{ viewer { name } }", CUSTOMER)
    assert (refused.status, refused.codes) == (401, ["UNAUTHENTICATED"])
    await own_client.ask(change % "reinstateUser")
    assert (await own_client.ask("{ viewer { user { id } } }", CUSTOMER)).data == {
        "viewer": {"user": {"id": "user-acme"}}
    }


async def test_nobody_suspends_themselves(client: Client) -> None:
    answer = await client.ask('mutation { suspendUser(input: {userId: "user-lead"}) { problems { code path } } }')
    assert answer.data["suspendUser"]["problems"] == [{"code": "INVALID_INPUT", "path": ["userId"]}]


@pytest.mark.parametrize(
    ("user", "path"),
    [
        ({"name": "X", "email": "no address", "role": "PARTNER"}, ["email"]),
        ({"name": "", "email": "x@x.example", "role": "PARTNER"}, ["name"]),
        ({"name": "X", "email": "x@x.example", "role": "CUSTOMER"}, ["accountId"]),
        ({"name": "X", "email": "x@x.example", "role": "PARTNER", "accountId": "account-1"}, ["accountId"]),
        ({"name": "X", "email": "LEAD@turnup.example", "role": "PARTNER"}, ["email"]),
        ({"name": "X", "email": "y@x.example", "role": "PARTNER", "subject": "lead@turnup.example"}, ["subject"]),
        ({"name": "X", "email": "x@x.example", "role": "IMPLEMENTATION_LEAD"}, ["allAccounts"]),
    ],
)
async def test_a_user_that_cannot_be_is_refused_by_the_field(
    client: Client, user: dict[str, str], path: list[str]
) -> None:
    answer = await client.ask(CREATE_USER, input=user)
    problems = answer.data["createUser"]["problems"]
    assert [(problem["code"], problem["path"]) for problem in problems] == [("INVALID_INPUT", path)]


@pytest.mark.parametrize("subject", ["", " ", "\u200b"])
async def test_a_blank_subject_is_refused(client: Client, subject: str) -> None:
    user = {"name": "Dora", "email": "dora@blank.example", "role": "PARTNER", "subject": subject}
    (problem,) = (await client.ask(CREATE_USER, input=user)).data["createUser"]["problems"]
    assert (problem["code"], problem["path"]) == ("INVALID_INPUT", ["subject"])


@pytest.mark.parametrize(
    ("user", "grants", "path"),
    [
        ("user-acme", [granting("account-2")], ["grants", "0", "accountId"]),
        ("user-acme", [granting("account-1", "location-6")], ["grants", "0", "scope", "locationIds", "0"]),
        (
            "user-acme",
            [granting("account-1", "location-2", "location-1", "location-none", "location-6")],
            ["grants", "0", "scope", "locationIds", "2"],
        ),
        ("user-acme", [granting("account-1", "1,2")], ["grants", "0", "scope", "locationIds", "0"]),
        (
            "user-acme",
            [{"accountId": "account-1", "scope": {"locationIds": []}}],
            ["grants", "0", "scope", "locationIds"],
        ),
        (
            "user-acme",
            [{"accountId": "account-1", "scope": {"allLocations": False}}],
            ["grants", "0", "scope", "allLocations"],
        ),
        ("user-carrier", [granting("account-1"), granting("account-none")], ["grants", "1", "accountId"]),
        ("user-carrier", [granting("account-1", "location-1")], ["grants", "0", "scope", "locationIds"]),
        (
            "user-carrier",
            [{"accountId": "account-1", "scope": {"locationIds": []}}],
            ["grants", "0", "scope", "locationIds"],
        ),
        ("user-lead", [granting("account-1")], ["grants", "0"]),
        ("user-acme", [granting("account-1"), granting("account-1")], ["grants"]),
    ],
)
async def test_a_grant_that_cannot_be_is_refused_by_its_place(
    client: Client, user: str, grants: list[dict[str, str]], path: list[str]
) -> None:
    answer = await client.ask(
        """mutation G($user: ID!, $grants: [GrantInput!]!) { setGrants(input: {userId: $user, expectedRevision: 1,
           grants: $grants}) { problems { path } } }""",
        user=user,
        grants=grants,
    )
    assert answer.data["setGrants"]["problems"] == [{"path": path}]


async def test_two_leads_who_edit_one_user_do_not_overwrite_each_other(own_client: Client) -> None:
    edit = 'mutation E($name: String!) { editUser(input: {userId: "user-acme", expectedRevision: 1, name: $name}) { user { name } problems { code } } }'  # noqa: E501 - one line reads best
    first = (await own_client.ask(edit, name="Alice J.")).data["editUser"]
    second = (await own_client.ask(edit, name="A. Johnson")).data["editUser"]
    assert (first["user"], second["problems"]) == ({"name": "Alice J."}, [{"code": "CONFLICT"}])


async def test_the_catalogue_becomes_what_is_given_and_models_that_stay_keep_their_ids(own_client: Client) -> None:
    models = "{ deviceModels(first: 100) { nodes { id brand name lines } } }"
    before = {node["name"]: node for node in (await own_client.ask(models)).data["deviceModels"]["nodes"]}
    answer = await own_client.ask(
        """mutation { setDeviceModels(input: {models: [{brand: YEALINK, name: "T46S", lines: 12},
           {brand: OTHER, name: "Z1", lines: 2}]}) { problems { code } } }"""
    )
    assert answer.data["setDeviceModels"]["problems"] == []
    after = {node["name"]: node for node in (await own_client.ask(models)).data["deviceModels"]["nodes"]}
    assert set(after) == {"T46S", "Z1"}
    assert after["T46S"] == {**before["T46S"], "lines": 12}


async def test_a_model_that_is_named_twice_is_refused_at_the_second_place_whatever_its_case(client: Client) -> None:
    models = [("YEALINK", "T46S"), ("POLY", "t46s"), ("YEALINK", "t46S")]
    answer = await client.ask(
        f"mutation M($models: [DeviceModelInput!]!) {{ setDeviceModels(input: {{models: $models}}) {{ {PROBLEMS} }} }}",
        models=[{"brand": brand, "name": model, "lines": 6} for brand, model in models],
    )
    problems = answer.data["setDeviceModels"]["problems"]
    assert [(each["code"], each["path"]) for each in problems] == [("INVALID_INPUT", ["models", "2", "name"])]


async def test_a_model_can_be_spelt_anew(own_client: Client) -> None:
    answer = await own_client.ask(
        """mutation { setDeviceModels(input: {models: [{brand: YEALINK, name: "t46s", lines: 12}]}) {
           problems { code } } }"""
    )
    assert answer.data["setDeviceModels"]["problems"] == []
    after = (await own_client.ask("{ deviceModels { nodes { name } } }")).data["deviceModels"]
    assert after == {"nodes": [{"name": "t46s"}]}


MODEL = "{ id brand name lines kind maker source sourceDate revision }"
ADD_MODEL = (
    f"mutation A($input: AddDeviceModelInput!) {{ addDeviceModel(input: $input) {{ deviceModel {MODEL} {PROBLEMS} }} }}"
)
EDIT_MODEL = f"mutation E($input: EditDeviceModelInput!) {{ editDeviceModel(input: $input) {{ deviceModel {MODEL} {PROBLEMS} }} }}"  # noqa: E501 - one line reads best
REMOVE_MODEL = f"mutation R($input: RemoveDeviceModelInput!) {{ removeDeviceModel(input: $input) {{ {PROBLEMS} }} }}"
NEW_MODEL = {"brand": "OTHER", "name": "C530 IP", "lines": 6, "kind": "DECT_BASE", "maker": "Gigaset"}
SOURCED = {"source": "Data sheet of the maker", "sourceDate": "2026-11-30"}


async def test_a_model_is_added_changed_and_removed_by_itself(own_client: Client) -> None:
    every = f"{{ deviceModels(first: 100) {{ nodes {MODEL} }} }}"
    before = (await own_client.ask(every)).data["deviceModels"]["nodes"]
    made = (await own_client.ask(ADD_MODEL, input=NEW_MODEL)).data["addDeviceModel"]
    model = {**made["deviceModel"]}
    assert (model, made["problems"]) == (
        {"id": model["id"], **NEW_MODEL, "source": None, "sourceDate": None, "revision": 1},
        [],
    )
    named = {"deviceModelId": model["id"]}
    changes = {"lines": 8, "maker": None, **SOURCED}
    edited = (await own_client.ask(EDIT_MODEL, input={**named, "expectedRevision": 1, **changes})).data
    assert edited["editDeviceModel"]["deviceModel"] == {**model, **changes, "revision": 2}
    same = (await own_client.ask(EDIT_MODEL, input={**named, "expectedRevision": 2, "lines": 8})).data
    assert same["editDeviceModel"]["deviceModel"] == {**model, **changes, "revision": 2}
    late = (await own_client.ask(REMOVE_MODEL, input={**named, "expectedRevision": 1})).data
    assert [(each["code"], each["path"]) for each in late["removeDeviceModel"]["problems"]] == [
        ("CONFLICT", ["expectedRevision"])
    ]
    removed = (await own_client.ask(REMOVE_MODEL, input={**named, "expectedRevision": 2})).data
    assert removed["removeDeviceModel"]["problems"] == []
    assert (await own_client.ask(every)).data["deviceModels"]["nodes"] == before
    entries = (
        await own_client.ask("{ auditLog(first: 3) { nodes { action changes { nodes { table field } } } } }")
    ).data
    assert [each["action"] for each in entries["auditLog"]["nodes"]] == [
        "REMOVE_DEVICE_MODEL",
        "EDIT_DEVICE_MODEL",
        "ADD_DEVICE_MODEL",
    ]
    assert {each["field"] for each in entries["auditLog"]["nodes"][1]["changes"]["nodes"]} == {
        "lines",
        "maker",
        "source",
        "source_date",
        "revision",
    }


@pytest.mark.parametrize(
    ("given", "code", "path"),
    [
        ({**NEW_MODEL, "brand": "YEALINK", "name": "t46S"}, "INVALID_INPUT", ["name"]),
        ({**NEW_MODEL, "name": " "}, "INVALID_INPUT", ["name"]),
        ({**NEW_MODEL, "name": "x" * 61}, "INVALID_INPUT", ["name"]),
        ({**NEW_MODEL, "lines": 0}, "INVALID_INPUT", ["lines"]),
        ({**NEW_MODEL, "lines": 101}, "INVALID_INPUT", ["lines"]),
        ({**NEW_MODEL, "maker": "x" * 61}, "INVALID_INPUT", ["maker"]),
        ({**NEW_MODEL, "source": "x" * 201}, "INVALID_INPUT", ["source"]),
        ({**NEW_MODEL, "sourceDate": "2026-11-30"}, "INVALID_INPUT", ["sourceDate"]),
    ],
)
async def test_a_model_that_no_catalogue_can_have_is_refused(
    client: Client, given: dict[str, object], code: str, path: list[str]
) -> None:
    problems = (await client.ask(ADD_MODEL, input=given)).data["addDeviceModel"]["problems"]
    assert [(each["code"], each["path"]) for each in problems] == [(code, path)]


@pytest.mark.parametrize(
    ("given", "code", "path"),
    [
        ({"expectedRevision": 7, "lines": 8}, "CONFLICT", ["expectedRevision"]),
        ({"expectedRevision": 1, "name": "t54w"}, "INVALID_INPUT", ["name"]),
        ({"expectedRevision": 1, "brand": "POLY", "name": "vvx 450"}, "INVALID_INPUT", ["name"]),
        ({"expectedRevision": 1, "lines": 0}, "INVALID_INPUT", ["lines"]),
        ({"expectedRevision": 1, "sourceDate": "2026-11-30"}, "INVALID_INPUT", ["sourceDate"]),
        ({"expectedRevision": 1, "deviceModelId": "model-nobody-has"}, "NOT_FOUND", []),
        ({"expectedRevision": 1, "deviceModelId": "no such id"}, "INVALID_INPUT", ["deviceModelId"]),
    ],
)
async def test_a_change_that_no_catalogue_can_take_is_refused(
    client: Client, given: dict[str, object], code: str, path: list[str]
) -> None:
    edit = {"deviceModelId": "model-yealink-t46s", **given}
    problems = (await client.ask(EDIT_MODEL, input=edit)).data["editDeviceModel"]["problems"]
    assert [(each["code"], each["path"] or []) for each in problems] == [(code, path)]


async def test_a_full_catalogue_takes_no_further_model(own_client: Client) -> None:
    models = [{"brand": "OTHER", "name": f"Z{number}", "lines": 1} for number in range(500)]
    full = await own_client.ask(
        f"mutation M($models: [DeviceModelInput!]!) {{ setDeviceModels(input: {{models: $models}}) {{ {PROBLEMS} }} }}",
        models=models,
    )
    assert full.data["setDeviceModels"]["problems"] == []
    problems = (await own_client.ask(ADD_MODEL, input=NEW_MODEL)).data["addDeviceModel"]["problems"]
    assert [(each["code"], each["message"]) for each in problems] == [
        ("LIMIT_REACHED", "Limit reached: at most 500 deviceModels.")
    ]


async def test_replacing_the_catalogue_keeps_what_it_leaves_out_and_empties_what_is_null(own_client: Client) -> None:
    replace = (
        "mutation M($models: [DeviceModelInput!]!) { setDeviceModels(input: {models: $models}) { problems { code } } }"
    )
    known = {"brand": "YEALINK", "name": "T46S", "lines": 16}
    for given, kept in [
        ({**known, "maker": "Yealink", **SOURCED}, ("DESK_PHONE", "Yealink", SOURCED["source"], SOURCED["sourceDate"])),
        (known, ("DESK_PHONE", "Yealink", SOURCED["source"], SOURCED["sourceDate"])),
        ({**known, "kind": None, "source": None, "sourceDate": None}, (None, "Yealink", None, None)),
    ]:
        assert (await own_client.ask(replace, models=[given])).data["setDeviceModels"]["problems"] == []
        (model,) = (await own_client.ask(f"{{ deviceModels {{ nodes {MODEL} }} }}")).data["deviceModels"]["nodes"]
        assert (model["kind"], model["maker"], model["source"], model["sourceDate"]) == kept


@pytest.mark.parametrize("who", [CUSTOMER, LISTED_CUSTOMER, PARTNER, SCOPED_LEAD, AUDITOR])
async def test_nobody_but_leads_of_all_accounts_changes_a_model(client: Client, who: str) -> None:
    named = {"deviceModelId": "model-yealink-t46s", "expectedRevision": 1}
    for mutation, given in ((ADD_MODEL, NEW_MODEL), (EDIT_MODEL, {**named, "lines": 2}), (REMOVE_MODEL, named)):
        assert (await client.ask(mutation, who, input=given)).codes == ["FORBIDDEN"]


@pytest.mark.usefixtures("replayed")
async def test_of_leads_who_add_one_model_at_once_one_does(own_client: Client) -> None:
    asked = (own_client.ask(ADD_MODEL, who, input={**NEW_MODEL, "name": model}) for who, model in BOTH_LEADS)
    answers = [answer.data["addDeviceModel"]["problems"] for answer in await asyncio.gather(*asked)]
    assert sorted([each["code"] for each in problems] for problems in answers) == [[], ["INVALID_INPUT"]]


BOTH_LEADS = (("lead@turnup.example", "C530 IP"), ("lead2@turnup.example", "c530 ip"))


@pytest.mark.parametrize("who", [CUSTOMER, PARTNER])
async def test_nobody_but_leads_administers(client: Client, who: str) -> None:
    answer = await client.ask('mutation { createAccount(input: {name: "Mine"}) { account { id } } }', who)
    assert (answer.body["data"], answer.codes) == ({"createAccount": None}, ["FORBIDDEN"])


async def test_every_administrative_write_leaves_an_entry(own_client: Client) -> None:
    await own_client.ask(
        """mutation { updateAccount(input: {accountId: "account-1", expectedRevision: 1, name: "Acme"}) {
           problems { code } } }"""
    )
    log = await own_client.ask(
        """{ auditLog(filter: {action: UPDATE_ACCOUNT}) {
           nodes { chain chainAccountId actor { id } changes { nodes { table field before after } } } } }"""
    )
    (entry,) = log.data["auditLog"]["nodes"]
    names = [change for change in entry["changes"]["nodes"] if change["field"] == "name"]
    assert (entry["chain"], entry["chainAccountId"], entry["actor"], names) == (
        "ACCOUNT",
        "account-1",
        {"id": "user-lead"},
        [{"table": "ACCOUNT", "field": "name", "before": "Acme Medical Group", "after": "Acme"}],
    )
