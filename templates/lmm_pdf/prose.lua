-- Prose on its way to Typst: equations carry their TeX as alternative text, alerts become callouts,
-- headings start at level one (the title stands in the title block), pictures become links.

local alerts = { note = true, tip = true, important = true, warning = true, caution = true }

local function string_literal(text)
  return '"' .. text:gsub("\\", "\\\\"):gsub('"', '\\"'):gsub("%s+", " ") .. '"'
end

local function as_typst(blocks)
  return (pandoc.write(pandoc.Pandoc(blocks), "typst"):gsub("%s+$", ""))
end

function Math(element)
  local body = as_typst({ pandoc.Plain({ element }) })
  local alt = string_literal(element.text:gsub("^%s+", ""):gsub("%s+$", ""))
  return pandoc.RawInline("typst", "#[#set math.equation(alt: " .. alt .. ");" .. body .. "]")
end

function Header(element)
  element.level = math.max(1, element.level - 1)
  return element
end

function Image(element)
  return pandoc.Link(element.caption, element.src)
end

function Div(element)
  local kind = element.classes[1]
  if not alerts[kind] then
    return element
  end
  local body = pandoc.List(element.content)
  if body[1] and body[1].t == "Div" and body[1].classes[1] == "title" then
    body:remove(1)
  end
  local open = pandoc.RawBlock("typst", '#callout("' .. kind .. '")[')
  local result = pandoc.List({ open })
  result:extend(body)
  result:insert(pandoc.RawBlock("typst", "]"))
  return result
end

function Table(element)
  local text = as_typst({ element })
  return pandoc.RawBlock("typst", (text:gsub("#figure%(", "#figure(numbering: none, outlined: false, ", 1)))
end

-- Prose is also computed from data, and data must not become markup: tags are shown, not obeyed.
function RawInline(element)
  return element.format == "html" and pandoc.Str(element.text) or element
end

function RawBlock(element)
  return element.format == "html" and pandoc.Para({ pandoc.Str(element.text) }) or element
end
