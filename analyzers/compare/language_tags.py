"""Language tags (BCP 47): their canonical form, and which of them count as the same language."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

UNDETERMINED: Final = "und"

_CURRENT: Final = (
    "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da "
    "de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy "
    "hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg "
    "li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or "
    "os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st su sv sw "
    "ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu"
)
_WITHDRAWN: Final = "iw=he in=id ji=yi jw=jv mo=ro sh=sr bh=bho"
_THREE_LETTERS: Final = (
    "eng=en zho=zh chi=zh cmn=zh jpn=ja kor=ko spa=es fra=fr fre=fr deu=de ger=de ita=it por=pt "
    "rus=ru ara=ar arb=ar hin=hi nld=nl dut=nl pol=pl tur=tr vie=vi tha=th ind=id msa=ms may=ms "
    "heb=he ell=el gre=el ces=cs cze=cs slk=sk slo=sk ron=ro rum=ro hun=hu fin=fi swe=sv dan=da "
    "nor=no nob=nb nno=nn ukr=uk bul=bg hrv=hr srp=sr bos=bs slv=sl est=et lit=lt lav=lv fas=fa "
    "per=fa urd=ur ben=bn tam=ta tel=te mar=mr guj=gu kan=kn mal=ml pan=pa cat=ca glg=gl eus=eu "
    "baq=eu isl=is ice=is gle=ga mlt=mt"
)
_USUAL_SCRIPTS: Final = (
    "Latn=af,ca,cs,cy,da,de,en,es,et,eu,fi,fo,fr,fy,ga,gl,hr,hu,id,is,it,lb,lt,lv,ms,mt,nb,nl,nn,"
    "no,pl,pt,ro,sk,sl,so,sq,st,sv,sw,tl,tn,tr,ts,vi,xh,zu "
    "Cyrl=be,bg,mk,ru,uk Arab=ar,fa,ps,ur Deva=hi,mr,ne Hebr=he,yi Jpan=ja Kore=ko Thai=th "
    "Grek=el Armn=hy Geor=ka Ethi=am Beng=as,bn Gujr=gu Knda=kn Khmr=km Laoo=lo Mlym=ml Mymr=my "
    "Orya=or Guru=pa Sinh=si Taml=ta Telu=te Thaa=dv"
)
_ISO_639_1: Final = frozenset(_CURRENT.split())
_PREFERRED: Final[dict[str, str]] = dict(
    pair.split("=") for pair in f"{_WITHDRAWN} {_THREE_LETTERS}".split()
)
_SUPPRESSED_SCRIPT: Final = {
    language: entry[:4] for entry in _USUAL_SCRIPTS.split() for language in entry[5:].split(",")
}
_NO_LANGUAGE: Final = frozenset(("und", "mul", "zxx", "mis", "xxx"))
_WINDOWS_SCRIPTS: Final = {"cht": "Hant", "chs": "Hans"}
"""Old names of Windows and .NET, `zh-CHT` and `zh-CHS`, that many systems still write."""
_TRADITIONAL_REGIONS: Final = frozenset(("TW", "HK", "MO"))


@lru_cache(maxsize=4096)
def normalize_tag(tag: str) -> str:
    """Return the canonical form of a tag: language, script where it distinguishes, region as given.

    Chinese is always `zh-Hans` or `zh-Hant`, by script or region, without region. Withdrawn
    codes and codes of three letters become current ones of two; `no` stays, as `nb` and `nn` do.
    The language's usual script, extended languages, variants, extensions and private use are
    dropped. Anything that is not a tag is `und`.
    """
    language, *rest = tag.strip().replace("_", "-").lower().split("-")
    language = _PREFERRED.get(language, language)
    known = language in _ISO_639_1 if len(language) == 2 else len(language) == 3
    if not (known and language.isascii() and language.isalpha()) or language in _NO_LANGUAGE:
        return UNDETERMINED
    script = region = ""
    for subtag in rest:
        if len(subtag) == 1:
            break
        if not (subtag.isascii() and subtag.isalnum()):
            return UNDETERMINED
        if len(subtag) == 4 and subtag.isalpha() and not script and not region:
            script = subtag.title()
        elif _is_region(subtag) and not region:
            region = subtag.upper()
        elif language == "zh" and subtag == "yue":
            language = "yue"
        elif language == "zh" and not script:
            script = _WINDOWS_SCRIPTS.get(subtag, "")
    return _assemble(language, script, region)


def _is_region(subtag: str) -> bool:
    return (len(subtag) == 2 and subtag.isalpha()) or (len(subtag) == 3 and subtag.isdigit())


def _assemble(language: str, script: str, region: str) -> str:
    if language == "zh":
        traditional = script == "Hant" or (not script and region in _TRADITIONAL_REGIONS)
        return "zh-Hant" if traditional else "zh-Hans"
    if script == _SUPPRESSED_SCRIPT.get(language):
        script = ""
    return "-".join(part for part in (language, script, region) if part)


# Languages that detectors, and the people who tag requests, mistake for one another.
_MUTUAL: Final = (
    ("no", "nb", "nn", "da"),
    ("sr", "hr", "bs", "sh"),
    ("id", "ms"),
    ("tl", "fil"),
    ("zh", "yue"),
)
_TAKEN_FOR: Final = {"es": ("gl",), "nl": ("af",)}
_CLOSE: Final = {
    **{language: frozenset(group) for group in _MUTUAL for language in group},
    **{language: frozenset(others) for language, others in _TAKEN_FOR.items()},
}


@lru_cache(maxsize=4096)
def same_language(request: str, output: str) -> bool:
    """Whether an answer tagged `output` suits a request tagged `request`; regions do not matter.

    Norwegian's forms and Danish, Serbian, Croatian and Bosnian, Indonesian and Malay count as
    one language each, since no detector distinguishes them by a sentence; so does Spanish taken for
    Galician, and Dutch for Afrikaans, but not the other way round. Scripts must agree where
    both tags name one, but for Serbian and its kin, written in both.
    """
    if UNDETERMINED in (request, output):
        return False
    a, b = request.split("-")[0], output.split("-")[0]
    if a != b and b not in _CLOSE.get(a, ()):
        return False
    scripts = {part for tag in (request, output) for part in tag.split("-")[1:] if len(part) == 4}
    return len(scripts) < 2 or a in _CLOSE["sr"]
