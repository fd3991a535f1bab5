"""Which column a header means, in English or Chinese.

Case, spaces, underscores, hyphens and anything in brackets are ignored: `Store Code`, `store_code` and
`金额（元）` are understood. Headers nobody asked for are ignored and reported.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from domain.errors import Problem, Refused
from imports.report import Kind

_NOISE = re.compile(r"[\(（\[【].*?[\)）\]】]|[\s_\-/.]+")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of ours and how files spell it; the first spelling is the name itself."""

    name: str
    required: bool
    spellings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Headings:
    """How a file's headers map to our columns, and which are nobody's."""

    renames: dict[str, str]
    ignored: tuple[str, ...]

    @property
    def headers(self) -> dict[str, str]:
        """The file's header of each of our columns it has."""
        return {name: header for header, name in self.renames.items()}


def _column(name: str, *spellings: str, required: bool = False) -> Column:
    return Column(name, required, (name, *spellings))


_STORE = ("store code", "store id", "shop", "门店", "门店编码", "门店编号", "门店代码", "店铺", "店铺编号")
_LATITUDE = _column("latitude", "lat", "纬度")
_LONGITUDE = _column("longitude", "lng", "lon", "经度")
_PHONE = _column("phone", "mobile", "phone number", "手机", "手机号", "手机号码", "电话", "联系电话")

_GUIDE = _column(
    "guide", "guide code", "guide id", "导购编号", "导购编码", "导购", "工号", "员工号", required=True
)
_MEMBER = _column("member", "member code", "member id", "会员号", "会员编号", "会员卡号", "会员")
_REVISION = (
    _column("revision", "version", "版本", "版本号"),
    _column("recorded_at", "updated at", "modified at", "更新时间", "记录时间", "修改时间"),
    _column("voided", "cancelled", "void", "作废", "已作废", "撤销"),
)

_DAYS = (
    _column("date", "on", "day", "日期", "开始日期"),
    _column("until", "to", "last day", "截止", "截止日期", "结束日期"),
    _column("weekday", "day of week", "星期", "周几"),
    _column("state", "open", "status", "营业", "状态", "班休"),
)
"""Of a guide's days nothing but this is read: a name or a reason would end in an event, which nobody takes back."""

COLUMNS: dict[Kind, tuple[Column, ...]] = {
    Kind.STORES: (
        _column("code", "store", *_STORE, required=True),
        _column("name", "store name", "门店名称", "店名", "店铺名称", "名称", required=True),
        _column("region", "area", "区域", "大区", "地区"),
        _column("dealer", "distributor", "经销商"),
        _LATITUDE,
        _LONGITUDE,
        _column("time_zone", "timezone", "tz", "时区"),
        _column("opens_at", "opens", "open", "opening time", "开门时间", "开店时间", "营业开始"),
        _column("closes_at", "closes", "close", "closing time", "关门时间", "闭店时间", "营业结束"),
    ),
    Kind.GUIDES: (
        _column("code", "guide", "guide code", "guide id", "导购编号", "导购编码", "工号", "员工号", required=True),
        _column("name", "guide name", "姓名", "导购姓名", "导购", required=True),
        _PHONE,
        _column("store", *_STORE, "所属门店", required=True),
        _column("skills", "skill", "技能", "擅长", "擅长品类"),
        _column("performance", "success rate", "成功率", "业绩", "业绩评分"),
        _column("active", "在职", "是否在职", "启用"),
        _column("on_leave_from", "leave from", "请假开始", "休假开始"),
        _column("on_leave_to", "leave to", "请假结束", "休假结束"),
    ),
    Kind.MEMBERS: (
        _column("code", "member", "member code", "member id", "会员号", "会员编号", "会员卡号", "会员", required=True),
        _column("name", "member name", "姓名", "会员姓名"),
        _PHONE,
        _column("store", "home store", *_STORE, "归属门店", "所属门店"),
        _LATITUDE,
        _LONGITUDE,
        _column("tags", "tag", "标签"),
        _column("opted_out_at", "opted out", "opt out", "do not contact", "退订", "退订时间", "免打扰", "勿扰"),
    ),
    Kind.PURCHASES: (
        _column("member", "member code", "member id", "会员号", "会员编号", "会员卡号", "会员", required=True),
        _column("store", *_STORE, "购买门店", required=True),
        _column(
            "occurred_at", "purchased at", "purchase time", "bought at", "date", "购买时间", "交易时间", "消费时间",
            "下单时间", "日期", "时间", required=True,
        ),
        _column("basket", "receipt", "order", "order no", "小票号", "小票", "单号", "订单号", "交易号", required=True),
        _column("product", "product code", "sku", "item", "商品", "商品编码", "商品编号", "货号", required=True),
        _column("category", "product category", "品类", "类别", "商品分类", "商品品类", required=True),
        _column("quantity", "qty", "units", "数量", "件数", required=True),
        _column("value", "amount", "sales value", "金额", "实付金额", "销售额", "成交金额", required=True),
        _column("guide", "guide code", "served by", "导购", "导购编号", "导购工号", "工号"),
        _column("return_of", "original basket", "original order", "退货原单", "原单号", "原小票号"),
    ),
    Kind.CALLS: (
        _column("key", "call id", "record id", "call no", "通话编号", "话单号", "流水号", "编号", required=True),
        _GUIDE,
        _MEMBER,
        _PHONE,
        _column(
            "occurred_at", "dialled at", "dialed at", "call time", "started at", "拨打时间", "通话时间", "呼叫时间", "开始时间",
            "时间", required=True,
        ),
        _column("seconds", "duration", "talk time", "通话时长", "通话秒数", "时长", "秒数", required=True),
        _column("answered", "connected", "接通", "是否接通"),
        *_REVISION,
    ),
    Kind.FRIENDS: (
        _column("key", "record id", "编号", "流水号"),
        _GUIDE,
        _MEMBER,
        _PHONE,
        _column("occurred_at", "added at", "friend since", "添加时间", "加好友时间", "时间", required=True),
        _column("removed_at", "deleted at", "删除时间", "流失时间"),
        *_REVISION,
    ),
    Kind.REDEMPTIONS: (
        _column("key", "record id", "redemption id", "核销单号", "编号", "流水号"),
        _column("code", "voucher", "coupon", "voucher code", "coupon code", "券码", "券号", "优惠券码"),
        _MEMBER,
        _PHONE,
        _column("store", *_STORE, "核销门店", required=True),
        _column("occurred_at", "redeemed at", "redemption time", "核销时间", "时间", required=True),
        _column("value", "amount", "面值", "金额", "核销金额"),
        _column("guide", *_GUIDE.spellings[1:]),
        *_REVISION,
    ),
    Kind.VISITS: (
        _column("key", "record id", "visit id", "到店编号", "编号", "流水号", required=True),
        _MEMBER,
        _PHONE,
        _column("store", *_STORE, "到店门店", required=True),
        _column("occurred_at", "came at", "visited at", "visit time", "到店时间", "时间", required=True),
        _column("guide", *_GUIDE.spellings[1:]),
        *_REVISION,
    ),
    Kind.RETURNS: (
        _column("return_of", "original basket", "original order", "退货原单", "原单号", "原小票号", required=True),
        _column("product", "product code", "sku", "item", "商品", "商品编码", "商品编号", "货号", required=True),
        _column("quantity", "qty", "units", "数量", "件数", "退货数量", required=True),
        _column("value", "amount", "refund", "金额", "退款金额", "退款", required=True),
        _column(
            "occurred_at", "returned at", "return time", "refunded at", "退货时间", "退款时间", "时间", "日期", required=True,
        ),
        _column("basket", "return no", "return order", "退货单号", "退货小票号"),
    ),
    Kind.CHECK_INS: (
        _column("key", "row id", "record id", "编号", "序号", "行号", required=True),
        _GUIDE,
        _column("member", *_MEMBER.spellings[1:], required=True),
        _column("occurred_at", "contacted at", "time", "联系时间", "跟进时间", "签到时间", "时间", required=True),
        _column("outcome", "result", "结果", "跟进结果", required=True),
        _column("channel", "how", "方式", "跟进方式", "渠道"),
        _column("grade", "intent", "意向", "意向等级"),
        _column("next_on", "next date", "next contact", "下次联系", "下次日期"),
        _column("category", "product category", "品类", "类别"),
        _column("plan", "plan code", "计划", "计划编号"),
        _column("note", "remark", "comment", "备注"),
    ),
    Kind.CALENDAR: (
        _column("scope", "level", "级别", "层级", "范围"),
        _column("subject", "code", "store", "region", *_STORE, "编码", "对象"),
        *_DAYS,
        _column("name", "reason", "note", "说明", "原因", "名称"),
        _column("opens_at", "opens", "open from", "opening time", "开门时间", "营业开始"),
        _column("closes_at", "closes", "closing time", "关门时间", "营业结束"),
        _column("country", "public holidays", "国家", "法定假日"),
        _column("quiet", "quiet hours", "免打扰", "免打扰时段"),
    ),
    Kind.SHIFTS: (
        _column("subject", "guide", "guide code", "guide id", "导购编号", "导购编码", "导购", "工号", "员工号", required=True),
        *_DAYS,
        _column("opens_at", "begins", "from time", "start", "上班", "上班时间", "开始时间"),
        _column("closes_at", "ends", "to time", "end", "下班", "下班时间", "结束时间"),
    ),
    Kind.ACCOUNTS: (
        _column("login", "user", "username", "登录名", "用户名", "账号", required=True),
        _column("name", "full name", "姓名", "名字", required=True),
        _column("role", "角色", required=True),
        _column("place", "scope", "范围", "管辖范围"),
        _column("guide", "guide code", "导购编号", "工号"),
    ),
}  # fmt: skip


def required_columns(kind: Kind) -> tuple[str, ...]:
    """Names of the columns whose cells must not be empty."""
    return tuple(column.name for column in COLUMNS[kind] if column.required)


def in_chinese(kind: Kind, name: str) -> str:
    """What Chinese readers call a column of ours; the name itself where it is none."""
    spellings = (s for column in COLUMNS[kind] if column.name == name for s in column.spellings)
    return next((spelling for spelling in spellings if not spelling.isascii()), name)


def understand(kind: Kind, headers: Sequence[str]) -> Headings:
    """Map a file's headers to our columns.

    Raises:
        Refused: one problem for each required column that is missing and for each that two headers claim.
    """
    meaning = {_key(spelling): c.name for c in COLUMNS[kind] for spelling in c.spellings}
    claims: dict[str, list[str]] = {}
    for header in headers:
        name = meaning.get(_key(header))
        if name is not None:
            claims.setdefault(name, []).append(header)
    found = ", ".join(headers)
    problems = [
        Problem(
            field=column.name,
            value=found,
            code="import.missing_column",
            params={
                "column": column.name,
                "field_zh": in_chinese(kind, column.name),
                "accepted": ", ".join(column.spellings),
                "found": found,
            },
        )
        for column in COLUMNS[kind]
        if column.required and column.name not in claims
    ]
    problems += [
        Problem(
            field=name,
            value=", ".join(claimants),
            code="import.column_twice",
            params={"column": name, "field_zh": in_chinese(kind, name), "found": ", ".join(claimants)},
        )
        for name, claimants in claims.items()
        if len(claimants) > 1
    ]
    if problems:
        raise Refused(problems)
    renames = {claimants[0]: name for name, claimants in claims.items()}
    return Headings(renames, tuple(header for header in headers if header not in renames))


def speaks_chinese(headers: Sequence[str]) -> bool:
    """Whether at least two headers are Chinese spellings of ours: the sign that a guessed encoding is right."""
    known = {_key(s) for columns in COLUMNS.values() for c in columns for s in c.spellings if not s.isascii()}
    return sum(_key(header) in known for header in headers) >= 2


def _key(header: str) -> str:
    return _NOISE.sub("", header).casefold()
