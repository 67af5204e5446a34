#!/usr/bin/env python3
"""Makes tests/data/aws-profiles/cases.json: profile files of AWS's tools, and what botocore makes of them.

    make_aws_profiles.py OUT_FILE

Run by hand with the botocore that VERSION names; its product is committed. Nothing is sent: the sources of keys are
loaded, but not asked. Each case has the texts of ~/.aws/credentials and ~/.aws/config, the name of the profile, and
botocore's outcome: `method` (its name for the source of the keys), `keys` that stand in a file, `role` (what is asked
of STS), `source` (the keys that take the role, in the same form), `sso`, `command` (the words of credential_process),
`region`, `endpoint` (null: Amazon's), `addressing`; or `error`. `ours` says where Dipper differs, and why.
"""
import json
import os
import sys
import tempfile

import botocore
import botocore.credentials as bc
import botocore.session
from botocore.compat import compat_shell_split

VERSION = "1.44.8"
KEYS = "aws_access_key_id = AKIA1\naws_secret_access_key = s3cret\n"
ROLE = "arn:aws:iam::123456789012:role/reader"


def indent(text, by):
    return "".join(by + line + "\n" for line in text.splitlines())


CASES = [
    # name, credentials, config, profile (None: default), ours
    ("nothing", "", "", None, None),
    ("keys", f"[default]\n{KEYS}", "", None, None),
    ("keys and a token", f"[default]\n{KEYS}aws_session_token = tok\n", "", None, None),
    ("the older name of the token", f"[default]\n{KEYS}aws_security_token = old\naws_session_token = tok\n", "", None, None),
    ("keys are indented", f"[default]\n{indent(KEYS, '  ')}", "", None, None),
    ("keys are indented by tabs", f"[default]\n{indent(KEYS, chr(9))}", "", None, None),
    ("the header and its keys are indented", f"  [default]\n{indent(KEYS, '  ')}", "", None, None),
    ("less and less indented", "[default]\n    aws_access_key_id = AKIA1\n  aws_secret_access_key = s3cret\n", "", None, None),
    ("a deeper key continues the value", "[default]\naws_access_key_id = AKIA1\n  aws_secret_access_key = s\n", "", None, None),
    ("capitals", f"[default]\n{KEYS.replace('aws_', 'AWS_').replace('_key', '_KEY')}", "", None, None),
    ("colons", f"[default]\n{KEYS.replace(' = ', ': ')}", "", None, None),
    ("no blanks", f"[default]\n{KEYS.replace(' = ', '=')}", "", None, None),
    ("blanks around", "[default]\n" + KEYS.replace(" = ", " \t = \t").replace("\n", " \t\n"), "", None, None),
    ("blanks that do not break", "[default]\n" + KEYS.replace(" = ", "\u00a0=\u00a0"), "", None, None),
    ("equals signs in the value", "[default]\naws_access_key_id = AKIA1\naws_secret_access_key = a=b:c==\n", "", None, None),
    ("quotes stay", "[default]\naws_access_key_id = \"AKIA1\"\naws_secret_access_key = 's'\n", "", None, None),
    ("CRLF", f"[default]\n{KEYS}".replace("\n", "\r\n"), "", None, None),
    ("no newline at the end", f"[default]\n{KEYS}"[:-1], "", None, None),
    ("empty lines", f"\n\n[default]\n\n{KEYS}\n".replace("aws_secret", "\n\naws_secret"), "", None, None),
    ("comments", f"# one\n[default]\n; two\n  # three\n{KEYS}", "", None, None),
    ("a comment behind the header", f"[default] # mine\n{KEYS}", "", None, None),
    ("a comment behind a value", "[default]\naws_access_key_id = AKIA1 # mine\naws_secret_access_key = s\n", "", None,
     "we cut the comment: blanks cannot be in keys"),
    ("a hash inside a value", "[default]\naws_access_key_id = AKIA1\naws_secret_access_key = a#b;c\n", "", None, None),
    ("another profile", f"[default]\n{KEYS}[work]\n{KEYS.replace('1', '2')}", "", "work", None),
    ("a profile that is not there", f"[default]\n{KEYS}", "", "work", None),
    ("blanks in a credentials profile", f"[my dev]\n{KEYS}", "", "my dev", None),
    ("quotes in a credentials profile are a part of it", f"[\"dev\"]\n{KEYS}", "", "dev", None),
    ("blanks inside of the brackets", f"[ default ]\n{KEYS}", "", None, "we trim the name"),
    ("no secret", "[default]\naws_access_key_id = AKIA1\n", "", None, None),
    ("no id", "[default]\naws_secret_access_key = s\n", "", None, None),
    ("a section without its bracket", f"[default\n{KEYS}", "", None, None),
    ("a key before the first section", f"{KEYS}[default]\n{KEYS}", "", None, None),
    ("a line without a value", f"[default]\nnonsense\n{KEYS}", "", None, None),
    ("a key without a name", f"[default]\n= x\n{KEYS}", "", None, None),
    ("a section twice", f"[default]\n{KEYS}[default]\nregion = eu-west-1\n", "", None, "we join the sections"),
    ("a key twice", f"[default]\n{KEYS}{KEYS}", "", None, "the first one counts"),
    ("a byte order mark", f"\ufeff[default]\n{KEYS}", "", None, "we skip the mark"),
    ("DEFAULT is for all sections", f"[DEFAULT]\nregion = eu-north-1\n[default]\n{KEYS}", "", None, None),
    ("keys in the config file", "", f"[default]\n{KEYS}region = eu-west-1\n", None, None),
    ("keys in both files", f"[default]\n{KEYS}", f"[default]\n{KEYS.replace('1', '2')}region = eu-west-1\n", None, None),
    ("the id in one file, the secret in the other", "[default]\naws_access_key_id = A\n",
     "[default]\naws_secret_access_key = s\n", None, None),
    ("the credentials file wins", f"[default]\n{KEYS}region = eu-west-1\n", "[default]\nregion = eu-west-2\n", None, None),
    ("a config profile", "", f"[profile work]\n{KEYS}", "work", None),
    ("a config profile without the word", "", f"[work]\n{KEYS}", "work", None),
    ("quotes in a config profile", "", f"[profile \"my dev\"]\n{KEYS}", "my dev", None),
    ("single quotes in a config profile", "", f"[profile 'my dev']\n{KEYS}", "my dev", None),
    ("an escaped blank in a config profile", "", f"[profile my\\ dev]\n{KEYS}", "my dev", None),
    ("two words in a config profile", "", f"[profile my dev]\n{KEYS}", "my dev", None),
    ("a tab in a config profile", "", f"[profile\twork]\n{KEYS}", "work", None),
    ("a slash in a profile", "", f"[profile a/b]\n{KEYS}", "a/b", None),
    ("profile default", "", f"[profile default]\n{KEYS}", None, None),
    ("the later of default and profile default", "", f"[profile default]\n{KEYS}[default]\nregion = eu-west-1\n", None, None),
    ("a quote that does not end", "", f"[profile \"work]\n{KEYS}", "work", None),
    ("endpoint_url", f"[default]\n{KEYS}", "[default]\nendpoint_url = http://127.0.0.1:9000\n", None, None),
    ("a service's endpoint", f"[default]\n{KEYS}",
     "[default]\nservices = mine\n[services mine]\ns3 =\n  endpoint_url = http://127.0.0.1:9000\n", None, None),
    ("a service's endpoint wins", f"[default]\n{KEYS}",
     "[default]\nendpoint_url = http://127.0.0.1:1\nservices = mine\n[services mine]\ns3 = \n  endpoint_url=http://127.0.0.1:2\n",
     None, None),
    ("another service's endpoint", f"[default]\n{KEYS}",
     "[default]\nservices = mine\n[services mine]\nsts =\n  endpoint_url = http://127.0.0.1:9000\n", None, None),
    ("services in quotes", f"[default]\n{KEYS}",
     "[default]\nservices = my own\n[services \"my own\"]\ns3 =\n\n  # of the team\n  endpoint_url = http://127.0.0.1:9\n", None, None),
    ("services that are not there", f"[default]\n{KEYS}", "[default]\nservices = mine\n", None, None),
    ("a group with a line that is none", f"[default]\n{KEYS}", "[default]\ns3 =\n  nonsense\n", None, None),
    ("ignored endpoints", f"[default]\n{KEYS}",
     "[default]\nendpoint_url = http://127.0.0.1:9000\nignore_configured_endpoint_urls = TRUE\n", None, None),
    ("endpoint_url in the group s3 is no endpoint", f"[default]\n{KEYS}",
     "[default]\ns3 =\n  endpoint_url = http://127.0.0.1:9000\n", None, None),
    ("addressing by path", f"[default]\n{KEYS}", "[default]\ns3 =\n    addressing_style = path\n    max_queue_size = 1\n", None, None),
    ("addressing by host", f"[default]\n{KEYS}", "[default]\ns3=\n addressing_style=virtual\nregion = eu-west-1\n", None, None),
    ("a role with a source profile", f"[base]\n{KEYS}",
     f"[profile work]\nrole_arn = {ROLE}\nsource_profile = base\nrole_session_name = me\nexternal_id = x 1\nduration_seconds = 900\n",
     "work", None),
    ("a role with its own keys", f"[work]\n{KEYS}", f"[profile work]\nrole_arn = {ROLE}\nsource_profile = work\n", "work", None),
    ("a chain of roles", f"[base]\n{KEYS}",
     f"[profile a]\nrole_arn = {ROLE}-a\nsource_profile = b\n[profile b]\nrole_arn = {ROLE}-b\nsource_profile = base\n", "a", None),
    ("a chain that comes back", "",
     f"[profile a]\nrole_arn = {ROLE}\nsource_profile = b\n[profile b]\nrole_arn = {ROLE}\nsource_profile = a\n", "a", None),
    ("a role of itself without keys", "", f"[profile a]\nrole_arn = {ROLE}\nsource_profile = a\n", "a", None),
    ("a source profile that is not there", "", f"[profile a]\nrole_arn = {ROLE}\nsource_profile = b\n", "a", None),
    ("a source profile without keys", "", f"[profile a]\nrole_arn = {ROLE}\nsource_profile = b\n[profile b]\nregion = x\n", "a", None),
    ("a role without a source", "", f"[profile a]\nrole_arn = {ROLE}\n", "a", None),
    ("a role with both sources", f"[base]\n{KEYS}",
     f"[profile a]\nrole_arn = {ROLE}\nsource_profile = base\ncredential_source = Environment\n", "a", None),
    ("an unknown credential source", "", f"[profile a]\nrole_arn = {ROLE}\ncredential_source = Elsewhere\n", "a", None),
    ("a credential source without keys", "", f"[profile a]\nrole_arn = {ROLE}\ncredential_source = Environment\n", "a", None),
    ("a role whose source is a process", "",
     f"[profile a]\nrole_arn = {ROLE}\nsource_profile = b\n[profile b]\ncredential_process = /bin/keys\n", "a", None),
    ("a role before keys", f"[a]\n{KEYS}[base]\n{KEYS.replace('1', '2')}",
     f"[profile a]\nrole_arn = {ROLE}\nsource_profile = base\n", "a", None),
    ("a role in the credentials file", f"[a]\nrole_arn = {ROLE}\nsource_profile = base\n[base]\n{KEYS}", "", "a", None),
    ("web identity", "", f"[default]\nrole_arn = {ROLE}\nweb_identity_token_file = /var/token\nrole_session_name = me\n", None, None),
    ("web identity before keys", f"[default]\n{KEYS}",
     f"[default]\nrole_arn = {ROLE}\nweb_identity_token_file = /var/token\n", None, None),
    ("web identity without a role", "", "[default]\nweb_identity_token_file = /var/token\n", None, None),
    ("a process", "", "[default]\ncredential_process = /opt/bin/keys --for \"my team\" 'a b' c\\ d # e\n", None, None),
    ("a process over two lines", "", "[default]\ncredential_process = /opt/bin/keys\n  --for me\n", None, None),
    ("keys of the credentials file before a process", f"[default]\n{KEYS}", "[default]\ncredential_process = /bin/keys\n", None, None),
    ("a process before keys of the config file", "", f"[default]\ncredential_process = /bin/keys\n{KEYS}", None, None),
    ("a process in the credentials file", "[default]\ncredential_process = /bin/keys\n", "", None, None),
    ("SSO", "", "[profile a]\nsso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\n"
     "sso_account_id = 123456789012\nsso_role_name = Reader\n", "a", None),
    ("SSO with a session", "", "[profile a]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Reader\n"
     "[sso-session corp]\nsso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\n"
     "sso_registration_scopes = sso:account:access\n", "a", None),
    ("SSO with a session in quotes", "", "[profile a]\nsso_session = my corp\nsso_account_id = 1\nsso_role_name = R\n"
     "[sso-session \"my corp\"]\nsso_start_url = https://x\nsso_region = eu-west-1\n", "a", None),
    ("SSO before keys", f"[a]\n{KEYS}", "[profile a]\nsso_start_url = https://x\nsso_region = eu-west-1\n"
     "sso_account_id = 1\nsso_role_name = R\n", "a", None),
    ("SSO without a session's section", "", "[profile a]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = R\n", "a", None),
    ("SSO without a region", "", "[profile a]\nsso_start_url = https://x\nsso_account_id = 1\nsso_role_name = R\n", "a", None),
    ("SSO whose session differs", "", "[profile a]\nsso_session = c\nsso_region = eu-west-1\nsso_account_id = 1\nsso_role_name = R\n"
     "[sso-session c]\nsso_start_url = https://x\nsso_region = eu-west-2\n", "a", None),
    ("a session alone is no source", f"[a]\n{KEYS}",
     "[profile a]\nsso_session = c\n[sso-session c]\nsso_start_url = https://x\nsso_region = eu-west-2\n", "a", None),
]


def describe(credentials):
    """The outcome of a provider: what botocore would ask, and whom."""
    out = {"method": credentials.method}
    fetcher = getattr(getattr(credentials, "_refresh_using", None), "__self__", None)
    if isinstance(fetcher, bc.BaseAssumeRoleCredentialFetcher):
        out["role"] = {k: v for k, v in fetcher._assume_kwargs.items()
                       if k != "RoleSessionName" or not v.startswith("botocore-session-")}
    if isinstance(fetcher, bc.AssumeRoleCredentialFetcher):
        out["source"] = describe(fetcher._source_credentials)
    if isinstance(fetcher, bc.AssumeRoleWithWebIdentityCredentialFetcher):
        out["token_file"] = fetcher._web_identity_token_loader._web_identity_token_path
    if isinstance(fetcher, bc.SSOCredentialFetcher):
        out["sso"] = {"start_url": fetcher._start_url, "region": fetcher._sso_region, "role_name": fetcher._role_name,
                      "account_id": fetcher._account_id, "session": fetcher._sso_session_name}
    if fetcher is None and not hasattr(credentials, "command"):
        out["keys"] = [credentials.access_key, credentials.secret_key, credentials.token]
    if hasattr(credentials, "command"):
        out["command"] = credentials.command
    return out


def do_not_run(self):
    """In place of ProcessProvider.load: says what it would run."""
    command = self._credential_process
    if command is None:
        return None
    credentials = bc.Credentials("a", "b", method=self.METHOD)
    credentials.command = compat_shell_split(command)
    return credentials


def outcome(profile):
    session = botocore.session.Session()
    resolver = bc.create_credential_resolver(session, region_name="eu-west-1")
    region = session.get_config_variable("region")
    client = session.create_client("s3", region_name=region or "us-east-1", aws_access_key_id="x", aws_secret_access_key="y")
    credentials = resolver.load_credentials()
    out = describe(credentials) if credentials else {"method": None}
    out["region"] = region
    url = client.meta.endpoint_url
    out["endpoint"] = None if url.endswith(".amazonaws.com") else url
    out["addressing"] = session.get_scoped_config().get("s3", {}).get("addressing_style")
    return out


def main(out_file):
    if botocore.__version__ != VERSION:
        sys.exit(f"this needs botocore {VERSION}, not {botocore.__version__}")
    bc.ProcessProvider.load = do_not_run
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    cases = []
    for name, credentials, config, profile, ours in CASES:
        with tempfile.TemporaryDirectory() as home:
            paths = {"AWS_SHARED_CREDENTIALS_FILE": credentials, "AWS_CONFIG_FILE": config}
            for i, (variable, text) in enumerate(paths.items()):
                os.environ[variable] = os.path.join(home, str(i))
                with open(os.environ[variable], "w", encoding="utf-8", newline="") as f:
                    f.write(text)
            os.environ.pop("AWS_PROFILE", None)
            if profile:
                os.environ["AWS_PROFILE"] = profile
            try:
                result = outcome(profile)
            except Exception as e:  # botocore's, whatever its class
                result = {"error": type(e).__name__}
        case = {"name": name, "credentials": credentials, "config": config, "profile": profile, "botocore": result}
        if ours:
            case["ours"] = ours
        cases.append(case)
    with open(out_file, "w", encoding="utf-8") as f:
        json.dump({"botocore": VERSION, "cases": cases}, f, indent=1, ensure_ascii=True)
        f.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
