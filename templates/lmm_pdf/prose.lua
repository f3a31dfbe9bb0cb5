-- Prose on its way to Typst: equations carry their TeX as alternative text, alerts become callouts,
-- headings start at level one (the title stands in the title block), pictures become links.

local alerts = { note = true, tip = true, important = true, warning = true, caution = true }

local targets = {}

-- Typst's labels by letters that every font has, since what a font lacks is coded all over the source.
local function ascii(name)
  return (name:gsub("[^%w_.:-]", function(byte)
    return string.format("x%02x", byte:byte())
  end))
end

local function collect(document)
  local function keep(element)
    targets[element.identifier] = true
  end
  document:walk({ Header = keep, Div = keep, Span = keep })
end

local function string_literal(text)
  return '"' .. text:gsub("\\", "\\\\"):gsub('"', '\\"'):gsub("%s+", " ") .. '"'
end

local function as_typst(blocks)
  return (pandoc.write(pandoc.Pandoc(blocks), "typst"):gsub("%s+$", ""))
end

-- Names in pandoc's Typst that Typst has changed since, and alphabets whose names are those of fonts on these pages.
local renamed = {
  { "times%.circle", "times.o" }, { "minus%.circle", "minus.o" }, { "dot%.circle", "dot.o" },
  { "%f[%w]sect%f[%W]", "inter" },
  { "%f[%w]sans%(", "uprightsans(" }, { "%f[%w]serif%(", "std.math.serif(" }, { "%f[%w]mono%(", "std.math.mono(" },
}

local function in_todays_names(formula)
  for _, names in ipairs(renamed) do
    formula = formula:gsub(names[1], names[2])
  end
  return formula
end

-- Words that stand in a formula between quotes are words, whatever they spell.
local function outside_quotes(text, change)
  local made, from, at = {}, 1, 1
  while at <= #text do
    local letter = text:sub(at, at)
    if letter == '"' then
      local stop = at + 1
      while stop <= #text and text:sub(stop, stop) ~= '"' do
        stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
      end
      table.insert(made, change(text:sub(from, at - 1)) .. text:sub(at, stop))
      from, at = stop + 1, stop + 1
    else
      at = at + (letter == "\\" and 2 or 1)
    end
  end
  return table.concat(made) .. change(text:sub(from))
end

local function Math(element)
  local body = outside_quotes(as_typst({ pandoc.Plain({ element }) }), in_todays_names)
  local alt = string_literal(element.text:gsub("^%s+", ""):gsub("%s+$", ""))
  return pandoc.RawInline("typst", "#[#set math.equation(alt: " .. alt .. ");" .. body .. "]")
end

local depth = 0

-- None is more than one level below the one before it: readers who hear the outline would miss what was skipped.
local function Header(element)
  depth = math.min(math.max(1, element.level - 1), depth + 1)
  element.level = depth
  element.identifier = ascii(element.identifier)
  -- Where the text before it ends. Said here, not as part of the heading: nothing may stand between the heading and its
  -- block, or the contents and bookmarks name the page it was moved away from.
  return { pandoc.RawBlock("typst", '#mark("heading", -1)'), element }
end

-- A link within the page goes where there is something; one to nowhere would stop the compiler.
local function Link(element)
  if element.target:sub(1, 1) ~= "#" then
    return element
  elseif not targets[element.target:sub(2)] then
    return element.content
  end
  element.target = "#" .. ascii(element.target:sub(2))
  return element
end

local function Image(element)
  return pandoc.Link(element.caption, element.src)
end

local function Div(element)
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

local function is_equation(block)
  local first = block and block.t == "Para" and block.content[1]
  return first and first.t == "Math" and first.mathtype == "DisplayMath"
end

-- A sentence that leads to an equation goes to the next page with it. Between the two may stand the mark that ends
-- one piece of prose.
local function Pandoc(document)
  local blocks, made = document.blocks, pandoc.List({})
  for place, block in ipairs(blocks) do
    local after = blocks[place + 1]
    if after and after.t == "RawBlock" then
      after = blocks[place + 2]
    end
    if block.t == "Para" and not is_equation(block) and is_equation(after) then
      made:insert(pandoc.RawBlock("typst", "#block(sticky: true, spacing: 1em)[#par["))
      made:insert(block)
      made:insert(pandoc.RawBlock("typst", "]]"))
    else
      made:insert(block)
    end
  end
  document.blocks = made
  return document
end

local function Table(element)
  local text = as_typst({ element })
  return pandoc.RawBlock("typst", (text:gsub("#figure%(", "#figure(numbering: none, outlined: false, ", 1)))
end

-- Prose is also computed from data, and data must not become markup: tags are shown, not obeyed.
local function RawInline(element)
  return element.format == "html" and pandoc.Str(element.text) or element
end

local function RawBlock(element)
  return element.format == "html" and pandoc.Para({ pandoc.Str(element.text) }) or element
end

return {
  { Pandoc = collect },
  { Pandoc = Pandoc },
  { Math = Math, Header = Header, Link = Link, Image = Image, Div = Div, Table = Table, RawInline = RawInline, RawBlock = RawBlock },
}
